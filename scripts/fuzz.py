#!/usr/bin/env python3
"""Coverage-guided fuzzing, for as long as you like.

    scripts/fuzz.py                               a minute for each target
    scripts/fuzz.py --target import --seconds 600
    scripts/fuzz.py --target page --replay FILE   replays one input; needs no atheris

The invariants are those of the property tests (tests/support/invariants.py). The corpus is in
.fuzz/TARGET and is used again the next time. An input that breaks an invariant, takes more than ten
seconds or more than a gigabyte goes to .fuzz/findings. Exit 0 if there is none, otherwise 1.
"""

import argparse
import atexit
import gzip
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import checkout

checkout.enter()
sys.path.insert(0, str(checkout.ROOT / "tests"))

FOLDER: Final = checkout.ROOT / ".fuzz"
REMEDY: Final = "atheris is not installed: .venv/bin/python -m pip install --group fuzz"
LONGEST: Final = 16_384
"""Bytes of an input: what is longer is tried by the tests."""

TARGETS: Final = ("decoder", "page", "import")


def main() -> int:
    """Fuzz, or replay, what the options say."""
    options = _options()
    if options.replay is not None:
        if options.target is None:
            return _wrong("--replay wants to know the --target.")
        return _replay(options.target, options.replay)
    if options.work:
        _work(options.target, options.flags)
    if importlib.util.find_spec("atheris") is None:
        return _wrong(REMEDY)
    findings = [
        finding
        for target in ([options.target] if options.target else TARGETS)
        for finding in _fuzz(target, options.seconds)
    ]
    for target, path in findings:
        print(f"found: scripts/fuzz.py --target {target} --replay {path}")
    return 1 if findings else 0


def _replay(target: str, path: Path) -> int:
    try:
        content = path.read_bytes()
    except OSError as error:
        return _wrong(f"{path} cannot be read: {error.strerror}.")
    promise_of(target)(content)
    print("All that was promised holds.")
    return 0


def promise_of(target: str) -> Callable[[bytes], None]:
    """Return what raises where a promise about an input is broken."""
    from support import invariants  # noqa: PLC0415 - after atheris, which marks the code that is reached

    if target == "decoder":
        return invariants.of_an_envelope
    if target == "page":
        return _page
    folder = Path(tempfile.mkdtemp(prefix="positionstore-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def import_(content: bytes) -> None:
        invariants.of_a_line(content)
        for name, kept, holds in (
            ("plain.jsonl", content, invariants.of_lines),
            ("packed.jsonl.gz", gzip.compress(content, 1), invariants.of_packed_lines),
            ("damaged.jsonl.gz", content, invariants.of_packed_lines),
        ):
            path = folder / name
            path.write_bytes(kept)
            holds(path)

    return import_


def _page(body: bytes) -> None:
    from support import invariants  # noqa: PLC0415 - as above

    invariants.of_a_list(body)
    invariants.of_an_answer(invariants.STATUSES[len(body) % 7], body, body[:60].decode("latin1"))


def _fuzz(target: str, seconds: int) -> Iterator[tuple[str, Path]]:
    """Fuzz a target in a process of its own; yield what was found."""
    corpus, found = FOLDER / target, FOLDER / "findings"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in _seeds(target):
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    words = corpus.with_suffix(".words")
    words.write_text("".join(f'"{_escaped(piece)}"\n' for piece in _pieces()), encoding="ascii")
    before = set(found.iterdir())
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.run(
            [
                *(sys.executable, __file__, "--work", "--target", target, "--"),
                *(f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-dict={words}"),
                *("-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"),
                *(f"-artifact_prefix={found}/{target}-", str(corpus)),
            ],
            stdout=log,
            stderr=log,
            check=False,
        )
        log.seek(0)
        said = log.read()
    new = sorted(set(found.iterdir()) - before)
    executions = re.search(r"number_of_executed_units:\s*(\d+)", said)
    count = int(executions[1]) if executions else 0
    inputs = len(list(corpus.iterdir()))
    print(f"{target}: {count:,} executions, {inputs:,} inputs kept, {len(new)} found", flush=True)
    if new or process.returncode:
        print(said[-4_000:])
    if process.returncode and not new:
        raise SystemExit(f"The fuzzing of {target} ended with code {process.returncode}.")
    for path in new:
        yield target, path


def _work(target: str, flags: list[str]) -> None:
    """Fuzz in this process; does not return."""
    import atheris  # noqa: PLC0415 - it need not be installed

    with atheris.instrument_imports(include=["positionstore"]):
        promise = promise_of(target)
    atheris.Setup([sys.argv[0], *flags], promise)
    atheris.Fuzz()


def _seeds(target: str) -> Iterator[bytes]:
    """Yield what is known to be understood: from the tests, and of a made-up vendor."""
    from benchmark.workload import envelopes  # noqa: PLC0415 - none of it is marked
    from support.wire_noise import VALID  # noqa: PLC0415 - the same

    known = [VALID, *(envelope for envelope, _ in zip(envelopes(40, 10), range(40), strict=False))]
    if target == "decoder":
        yield from known
    elif target == "page":
        positions = [json.loads(envelope)["data"] for envelope in known]
        yield from (json.dumps(position).encode() for position in positions)
        yield json.dumps({"data": positions[:3], "has_more": True}).encode()
        yield b'{"token":"abc","expires_at":"2026-07-01T12:00:00Z"}'
        yield b'{"error":{"type":"t","code":"c","message":"m"}}'
        yield b"Wed, 01 Jul 2026 09:00:00 GMT"
    else:
        yield b"\n".join(known[:3])
        yield b"\xef\xbb\xbf" + b"\r\n \n".join(known[3:5]) + b"\n"
        yield b'["position.opened", %s]\n42/v1/partner,["a",%s,"b"]' % (known[0], known[1])
        yield (
            b'{"seq":1,"type":"position.created","received_at":"2026-07-01T12:00:00Z",'
            b'"source":"partner","supersedes_before":null,"envelope":%s,"retracts":null}'
        ) % known[0]
        yield gzip.compress(b"\n".join(known[5:7]), 1) + gzip.compress(known[0], 1)


def _pieces() -> list[bytes]:
    from support.wire_noise import PIECES  # noqa: PLC0415 - as above

    return PIECES


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in piece)


def _wrong(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, help="one alone")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="an input that was found")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
