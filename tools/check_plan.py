#!/usr/bin/env python3
"""Whether `lmdeploy plan` tells what servers then take: each MODEL with each cache and fraction, really started.

    tools/check_plan.py models/SmolLM2-135M-Instruct models/SmolLM2-135M-Instruct-4bit --memory 2GB

Prints planned and measured bytes, and exits 1 where one combination is off by more than 2 %. Needs the
packages of tests/e2e/requirements.txt and a free machine.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from server_memory import measured, planned  # noqa: E402

TOLERANCE = 0.02
MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--max-batch-size", type=int, default=8)
    parser.add_argument("--quant-policies", nargs="+", default=["0", "8", "4"])
    parser.add_argument("--fractions", nargs="+", default=["0.8", "0.4"])
    arguments = parser.parse_args()

    worst = 0.0
    print(f"{'model':32} {'KV':>3} {'cache':>5} {'planned':>10} {'measured':>10} {'off':>7}   outside the cache")
    for model in arguments.models:
        for policy in arguments.quant_policies:
            for fraction in arguments.fractions:
                options = ["--memory", arguments.memory, "--cache-max-entry-count", fraction, "--quant-policy", policy,
                           "--max-batch-size", arguments.max_batch_size]
                plan = planned(model, *options)
                with tempfile.TemporaryDirectory() as folder:
                    real = measured(Path(folder) / "log.txt", model, plan, arguments.max_batch_size, *options)
                total = real["reserved"] + real["resident"]
                off = total / plan["total_bytes"] - 1
                worst = max(worst, abs(off))
                outside = plan["total_bytes"] - plan["kv_cache"]["bytes"]
                print(f"{model.name:32} {policy:>3} {fraction:>5} {plan['total_bytes'] / MIB:>10.1f} "
                      f"{total / MIB:>10.1f} {off:>+7.2%}   {outside / MIB:.1f} planned, {real['resident'] / MIB:.1f}",
                      flush=True)
    print(f"worst: {worst:.2%} (at most {TOLERANCE:.0%})")
    return worst > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
