"""Which figures stand where: the grid at the top by class of asset, and the tables of the chapters."""

KEY_NUMBERS = {
    "stable": (
        "price",
        "peg_now",
        "peg_p95",
        "peg_worst",
        "market_cap",
        "flow_30d",
        "pool_depth",
        "holder_count",
    ),
    "general": (
        "price",
        "return_30d",
        "market_cap",
        "volume_24h",
        "vol_90d",
        "max_drawdown",
        "pool_depth",
        "top_10_adjusted",
    ),
}
OWN_FACTS = {
    "market": (
        "price market_cap diluted_value volume_24h rank return_1d return_7d return_30d return_90d return_365d "
        "cagr from_ath days_since_ath from_atl days_since_atl"
    ),
    "risk": (
        "vol_30d vol_90d range_vol_30d downside_dev max_drawdown current_drawdown longest_slump ulcer_index sharpe "
        "sortino calmar var_95 var_99 cvar_95 cf_var_95 skewness kurtosis"
    ),
    "comovement": (
        "beta_btc corr_btc_30d corr_btc_90d alpha_btc tracking_btc beta_eth corr_eth_30d corr_eth_90d alpha_eth "
        "tracking_eth"
    ),
    "peg": ("price peg_now peg_mean peg_p95 peg_worst peg_days_10 peg_days_50 peg_days_100 peg_recovery peg_half_life"),
    "flows": "market_cap flow_1d flow_7d flow_30d chain_count chain_hhi mechanism",
    "liquidity": (
        "volume_24h turnover turnover_30d pool_depth pool_depth_ratio deep_pools top_pool_share impact_10k "
        "impact_100k pool_churn sell_share amihud venue_hhi venue_spread doubtful_venues"
    ),
    "supply": (
        "supply_circulating supply_total supply_max supply_ratio dilution uncapped inflation_30d inflation_90d "
        "inflation_365d"
    ),
    "holders": "holder_count top_1 top_10 top_50 top_10_adjusted holder_hhi holder_gini owner_share creator_share",
    "defi": (
        "tvl tvl_change_1d tvl_change_7d tvl_change_30d cap_to_tvl fees_30d revenue_30d price_to_fees price_to_sales "
        "tvl_chain_hhi"
    ),
    "security": (
        "honeypot alarms_critical alarms_high verified proxy contract_age checks_known buy_tax sell_tax transfer_tax "
        "lp_locked"
    ),
}
