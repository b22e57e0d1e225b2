"""Orders a report about a token (from the packaged sample data), follows it, and saves it."""

from tollway.client import TollwayClient

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"


def main() -> None:
    with TollwayClient() as client:
        job = client.reports.create_token_report("usd-coin", USDC, sample=True, insight=False)
        for step in client.reports.events(job.id):
            print(f"{step.job.status}: {step.job.stage} {step.job.progress:.0%}")
        job = client.reports.wait(job.id)
        print(f"saved {client.reports.save(job, 'usd-coin.html')}")


if __name__ == "__main__":
    main()
