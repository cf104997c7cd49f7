"""Write the dashboards as Grafana takes them, beside this file."""

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.pages import PAGES

FOLDER = Path(__file__).parent


def texts() -> dict[str, str]:
    """Return each file's content by its name."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {name: encoder.encode(made.build()) + "\n" for name, made in PAGES.items()}


def main() -> None:
    """Write them."""
    for name, text in texts().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
