# SPDX-License-Identifier: Apache-2.0
"""`python -m lowbit.runtime FILE...`: latencies as JSON, for a device with NumPy and LiteRT alone.

The document is what `lowbit benchmark --json` prints, and `lowbit report RUN --add` takes.
"""

import argparse
import re
import sys

from lowbit.errors import LowbitError
from lowbit.runtime.device import measure_here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lowbit.runtime", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help=".tflite files")
    parser.add_argument("--threads", default="1", help="numbers of threads, separated by commas")
    parser.add_argument("--runs", type=int, help="runs of each file; enough for a steady figure if not given")
    parser.add_argument("--reference", help="the file that ratios are to; the first one if not given")
    parser.add_argument("--device", help="what to call this machine; its processor if not given")
    asked = parser.parse_args()
    if not all(re.fullmatch("[0-9]{1,9}", word) and int(word) for word in asked.threads.split(",")):
        parser.error(f"received --threads {asked.threads}; expected numbers such as 1,2,4")
    if asked.reference is not None and asked.reference not in asked.files:
        parser.error(f"received --reference {asked.reference}; expected one of the files")
    try:
        found = measure_here(
            asked.files,
            threads=[int(word) for word in asked.threads.split(",")],
            reference=asked.reference,
            runs=asked.runs,
            name=asked.device,
        )
    except LowbitError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was kept\n")
        return 130
    sys.stdout.write(found.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
