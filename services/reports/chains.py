"""The chains a report can be asked for, and what each provider calls them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chain:
    """One EVM chain; `ethplorer` is only true where that provider has data."""

    name: str
    title: str
    chain_id: int
    coingecko: str
    dexscreener: str
    llama: str
    ethplorer: bool = False
    honeypot: bool = False


CHAINS: dict[str, Chain] = {
    chain.name: chain
    for chain in (
        Chain("ethereum", "Ethereum", 1, "ethereum", "ethereum", "ethereum", ethplorer=True, honeypot=True),
        Chain("bsc", "BNB Smart Chain", 56, "binance-smart-chain", "bsc", "bsc", honeypot=True),
        Chain("base", "Base", 8453, "base", "base", "base", honeypot=True),
        Chain("arbitrum", "Arbitrum One", 42161, "arbitrum-one", "arbitrum", "arbitrum"),
        Chain("optimism", "Optimism", 10, "optimistic-ethereum", "optimism", "optimism"),
        Chain("polygon", "Polygon", 137, "polygon-pos", "polygon", "polygon"),
        Chain("avalanche", "Avalanche C-Chain", 43114, "avalanche", "avalanche", "avax"),
        Chain("gnosis", "Gnosis", 100, "xdai", "gnosischain", "xdai"),
        Chain("linea", "Linea", 59144, "linea", "linea", "linea"),
        Chain("scroll", "Scroll", 534352, "scroll", "scroll", "scroll"),
    )
}

ALIASES = {
    "eth": "ethereum",
    "mainnet": "ethereum",
    "bnb": "bsc",
    "binance-smart-chain": "bsc",
    "arbitrum-one": "arbitrum",
    "optimistic-ethereum": "optimism",
    "matic": "polygon",
    "polygon-pos": "polygon",
    "avax": "avalanche",
}


def find_chain(name: str) -> Chain | None:
    wanted = name.strip().lower()
    return CHAINS.get(ALIASES.get(wanted, wanted))
