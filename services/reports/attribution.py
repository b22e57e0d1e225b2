"""What each data provider is called, and the attribution its terms ask a report to carry."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    title: str
    text: str
    link: str


PROVIDERS = {
    "coingecko": Provider("CoinGecko", "Data powered by CoinGecko.", "https://www.coingecko.com/en/api"),
    "defillama": Provider("DefiLlama", "Data from DefiLlama.", "https://defillama.com"),
    "dexscreener": Provider("DEX Screener", "Data from DEX Screener.", "https://dexscreener.com"),
    "goplus": Provider("GoPlus", "Security data from GoPlus.", "https://gopluslabs.io"),
    "honeypot": Provider("Honeypot.is", "Simulation by Honeypot.is.", "https://honeypot.is"),
    "ethplorer": Provider("Ethplorer", "Powered by Ethplorer.io.", "https://ethplorer.io"),
    "etherscan": Provider("Etherscan", "Powered by Etherscan.io APIs.", "https://etherscan.io"),
}


def title(source: str) -> str:
    provider = PROVIDERS.get(source)
    return provider.title if provider else source
