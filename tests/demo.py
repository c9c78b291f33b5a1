"""``make demo``: play the main story; exit 1 if a step is not true."""

import sys
import time
import traceback

from tests.stories.first_coupon import FirstCoupon
from tests.support.world import running
from wxenv import system
from wxenv.console import SetupError


def main() -> int:
    start = time.monotonic()
    with running("demo") as world:
        stack = world.stack
        print(
            f"\nOdoo at {stack.url} with {stack.workers} workers "
            f"{stack.worker_pids()} and a job runner, sandbox at {stack.sandbox_url}\n"
        )
        story = FirstCoupon(world, system.browser())
        try:
            for number, told in enumerate(story.steps(), 1):
                print(f"{number:>2}. {told.title}")
                print(f"      Odoo    {told.odoo}")
                print(f"      WeChat  {told.wechat}")
                for shot in told.shots:
                    print(f"      screen  {shot}")
                sys.stdout.flush()
        except Exception:
            traceback.print_exc()
            story_shots = story.shots
            print(f"\nThis step is not true. Screens: {story_shots}")
            return 1
        print()
        for name, value in story.figures.items():
            print(f"{name}: {value:.0f}")
    print(
        f"\nAll steps are true. {time.monotonic() - start:.0f} s, nothing left running."
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(1)
