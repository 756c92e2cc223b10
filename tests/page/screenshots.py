"""Take screenshots of the page, the README's among them: `python -m tests.page.screenshots`."""

import argparse
from pathlib import Path

from tests.page.browser import PHONE, WIDE, opened, running_browser
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[2]
README_IMAGE = ROOT / "docs" / "images" / "page.png"
SIZES = {"wide": WIDE, "phone": PHONE}


def main() -> None:
    """Save one screenshot for each size and each colour scheme."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.page.screenshots")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "screenshots", help="directory of the images")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    with LocalServer(ROOT / "build" / "demo") as server, running_browser() as browser:
        server.wait_until_warm()
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                problems: list[str] = []
                with opened(browser, server.url, problems, viewport=viewport, color_scheme=scheme) as page:
                    page.screenshot(path=output / f"{size}-{scheme}-empty.png")
                    page.get_by_role("button", name="Amazon rainforest").click()
                    for question in page.locator("#suggestions button").all()[:2]:
                        question.click()
                        page.locator("#stop").wait_for(state="hidden")
                    page.get_by_label("Ask a question").blur()
                    page.screenshot(path=output / f"{size}-{scheme}.png", full_page=size == "phone")
                assert not problems, problems
    README_IMAGE.parent.mkdir(exist_ok=True)
    README_IMAGE.write_bytes((output / "wide-light.png").read_bytes())
    print(f"{README_IMAGE.relative_to(ROOT)}: {README_IMAGE.stat().st_size / 1000:.0f} KB; all images: {output}")


if __name__ == "__main__":
    main()
