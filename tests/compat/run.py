#!/usr/bin/env python3
"""LiteLLM and vllm-router behind Baseload, and Baseload behind them: run.py BASELOAD BENCH_UPSTREAM LITELLM VLLM_ROUTER.

Each way a chat goes through whole and as a stream, unmodified, and the ledger has the tokens that the model server reported.
"""

import pathlib
import sys
import tempfile

import stage

LITELLM = """model_list:
  - model_name: m
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{port}/v1
      api_key: {key}
general_settings:
  master_key: sk-compat-master
"""


class Chains(stage.Stage):
    """The two programs beside Baseload."""

    def __init__(self, folder, baseload, upstream, litellm, router):
        super().__init__(folder, baseload, upstream)
        self.litellm, self.router = litellm, router

    def proxy(self, behind, key):
        """A LiteLLM proxy in front of a port."""
        port, config = stage.free_port(), self.folder / f"litellm-{stage.free_port()}.yaml"
        config.write_text(LITELLM.format(port=behind, key=key))
        return self.start(port, "/health/liveliness", self.litellm, "--config", config, "--port", str(port), "--host", "127.0.0.1")

    def routed(self, behind):
        """A vllm-router in front of a port."""
        port, metrics = stage.free_port(), stage.free_port()
        return self.start(
            port, "/health", self.router, "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{behind}",
            "--policy", "round_robin", "--prometheus-port", str(metrics),
        )


def main():
    """Every chain; the first that does not hold ends it."""
    programs = [pathlib.Path(arg).resolve() if pathlib.Path(arg).exists() else arg for arg in sys.argv[1:5]]
    with tempfile.TemporaryDirectory(prefix="baseload-compat-") as folder:
        chains = Chains(pathlib.Path(folder), *programs)
        with chains.stack:
            model = chains.model()
            ours = chains.behind(chains.proxy(model, "none"), "sk-compat-master")
            stage.check("LiteLLM as our upstream", chains, *ours)
            ours = chains.behind(model)
            stage.check("ours as LiteLLM's upstream", chains, chains.proxy(ours.port, ours.key), "sk-compat-master", ours.state)
            ours = chains.behind(chains.routed(model))
            stage.check("vllm-router as our upstream", chains, *ours)
            ours = chains.behind(model)
            stage.check("ours as vllm-router's upstream", chains, chains.routed(ours.port), ours.key, ours.state)
    print("compat: 4 passed, 0 failed")


if __name__ == "__main__":
    main()
