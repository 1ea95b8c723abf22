"""Coverage-guided fuzzing with atheris: `python -m fuzz text --seconds 60`; without a target, all four in turn.

Needs `pip install atheris`. A finding is written to `fuzz-findings/` and ends the run with an error; to see one again:
`python -m fuzz text --input FILE`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_MAX_BYTES = {"manifest": 1 << 16, "config": 1 << 16, "codebook": 1 << 20, "text": 1 << 13}


def fuzz(target: str, seconds: int, findings: Path) -> None:
    """Fuzz one target; does not return. Raises: SystemExit by way of libFuzzer."""
    import atheris

    # What is imported in here is compiled with counters for its branches.
    with atheris.instrument_imports(include=["tokframe", "tokframe_dictionary", "tokframe_autoencoder", "safetensors"]):
        from fuzz.targets import TARGETS, seeds
    findings.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp(prefix=f"tokframe-fuzz-{target}-"))
    for number, data in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_MAX_BYTES[target]}",
        f"-artifact_prefix={findings}/{target}-",
    ]
    options += ["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[target])
    atheris.Fuzz()


def main() -> None:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=sorted(_MAX_BYTES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--input", type=Path, help="run the target on one file, without fuzzing")
    given = parser.parse_args()
    if given.input:
        from fuzz.targets import TARGETS

        if not given.target:
            parser.error("--input needs a target")
        TARGETS[given.target](given.input.read_bytes())
        return
    for target in [given.target] if given.target else list(_MAX_BYTES):
        # libFuzzer exits its process at once, so each target has one of its own, and a folder for temporary files.
        call = f"from fuzz.__main__ import fuzz, Path; fuzz({target!r}, {given.seconds}, Path({str(given.findings)!r}))"
        with tempfile.TemporaryDirectory() as temporary:
            done = subprocess.run([sys.executable, "-c", call], env=os.environ | {"TMPDIR": temporary}, check=False)
        if done.returncode:
            raise SystemExit(f"{target}: a finding is in {given.findings}")


if __name__ == "__main__":
    main()
