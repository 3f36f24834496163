"""The fuzzing targets for so many seconds: guided by coverage where a nightly toolchain and cargo-fuzz are here, else mutated as the tests do."""

import os
import pathlib
import re
import shutil
import subprocess
import time

LENGTH_MAX = 4_096
# A target's mutations at once, where nothing guides them.
MUTATIONS = 50_000


def targets(root):
    """Every target, by its committed corpus."""
    return sorted(folder.name for folder in (root / "fuzz" / "corpus").iterdir())


def is_guided():
    """Whether this machine can guide."""
    nightly = subprocess.run(["rustup", "run", "nightly", "rustc", "--version"], capture_output=True, check=False) if shutil.which("rustup") else None
    return bool(nightly and nightly.returncode == 0 and shutil.which("cargo-fuzz"))


def run(root, target, folder, seed, seconds):
    """Executions by target, and what was found."""
    if is_guided():
        return guided(root, target, folder, seconds)
    print("fuzz: no nightly toolchain with cargo-fuzz is here, so nothing guides: the tests' own mutations", flush=True)
    return mutated(root, seed, seconds)


def guided(root, target, folder, seconds):
    """By libFuzzer, each target on from the corpus that it grew before. No sanitizer: nothing of ours is unsafe."""
    own = ["--fuzz-dir", str(root / "fuzz"), "--sanitizer", "none", "--target-dir", str(target / "fuzz")]
    built = subprocess.run(["cargo", "+nightly", "fuzz", "build", *own], cwd=root, check=False)
    if built.returncode:
        return {}, ["fuzz: the targets don't build"]
    executed, found = {}, []
    names = targets(root)
    for name in names:
        # Corpora outlive a commit: only the counts are a commit's own.
        corpus, artifacts = folder.parent / "corpus" / name, folder / "found" / name
        for made in (corpus, artifacts):
            made.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={max(1, int(seconds / len(names)))}", f"-max_len={LENGTH_MAX}", "-print_final_stats=1", "-timeout=20"]
        command = ["cargo", "+nightly", "fuzz", "run", *own, name, str(corpus), str(root / "fuzz" / "corpus" / name), "--", *options]
        done = subprocess.run([*command, f"-artifact_prefix={artifacts}/"], cwd=root, capture_output=True, text=True, errors="replace", check=False)
        count = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        executed[name] = int(count.group(1)) if count else 0
        print(f"fuzz: {executed[name]:>12,} executions of {name}", flush=True)
        if done.returncode:
            print(done.stderr[-4_000:], flush=True)
            found.append(f"fuzz: {name}, in {artifacts}")
    return {"executions": sum(executed.values()), **{f"executions of {name}": count for name, count in executed.items()}}, found


def mutated(root, seed, seconds):
    """By the tests, with other seeds each time."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until or not rounds:
        own = {"BASELOAD_FUZZ_MUTATIONS": str(MUTATIONS), "BASELOAD_FUZZ_SEED": str(1 + rounds + 1_000 * int(seed))}
        if subprocess.run(["cargo", "nextest", "run", "--workspace", "-E", "package(fuzzing)"], cwd=root, env={**os.environ, **own}, check=False).returncode:
            return {"executions": 0}, [f"fuzz: {own}"]
        rounds += 1
    return {"executions": rounds * MUTATIONS * len(targets(pathlib.Path(root)))}, []
