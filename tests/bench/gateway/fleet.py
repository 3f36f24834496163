"""The bench's fleet: seven endpoints of one model under eight contracts of several kinds, all at one address."""

HEAD = """format = 1
name = "bench"
currency = "USD"
[regions.r]
jurisdiction = "EU"
[models.m]
parameters = "8 B"
context = 8192
capabilities = ["chat", "completions"]
[models.m-d20]
parameters = "8 B"
context = 8192
capabilities = ["chat", "completions"]
[teams.bench]
requests = "100M/min"
tokens = "10000M/min"
budget = "100000000 USD/month"
[limits]
requests = "100M/min"
tokens = "10000M/min"
budget = "100000000 USD/month"
[workloads.chat]
kind = "serving"
model = "m"
classes = [{ tier = "default", ttft = "2 s", tpot = "80 ms", miss = "0.002 USD" }]
"""

# By the token at rising prices; two of them under floors, one with a discount by volume, one in provisioned units.
TERMS = [
    'preset = "on-demand"\ninput = "0.60 USD/1M tokens"\noutput = "0.80 USD/1M tokens"',
    'preset = "on-demand"\ninput = "0.62 USD/1M tokens"\ncached = "0.31 USD/1M tokens"\noutput = "0.82 USD/1M tokens"',
    'preset = "on-demand"\nunder = "floor"\ninput = "0.64 USD/1M tokens"\noutput = "0.84 USD/1M tokens"',
    'preset = "on-demand"\nunder = "floor"\ninput = "0.66 USD/1M tokens"\noutput = "0.86 USD/1M tokens"',
    'preset = "on-demand"\ninput = "0.68 USD/1M tokens"\noutput = "0.88 USD/1M tokens"',
    'preset = "on-demand"\ninput = "0.70 USD/1M tokens"\noutput = "0.90 USD/1M tokens"',
    'preset = "provisioned"\nunits = 40\ntokens_per_unit_minute = 20000\nrate = "1 USD/unit-hour"',
]


def text(port):
    """The fleet file, with every endpoint at this port of this machine."""
    parts = [HEAD]
    span = 'start = 2026-01-01\nend = 2031-01-01\n'
    parts.append(f'[parties.p]\nroles = ["supplier"]\n[contracts.floor]\nparty = "p"\npreset = "take-or-pay"\nfloor = "500 USD/month"\n{span}')
    for number, terms in enumerate(TERMS):
        models = ("m",) if "provisioned" in terms else ("m", "m-d20")
        for model in models:
            parts.append(
                f'[endpoints.e{number}-{model}]\nmodel = "{model}"\nregion = "r"\nurl = "http://127.0.0.1:{port}/v1"\nslots = 512\nqueue = 1024\n'
            )
        named = ", ".join(f'"e{number}-{model}"' for model in models)
        parts.append(f'[contracts.c{number}]\nparty = "p"\n{terms}\nendpoints = [{named}]\n{span}')
    return "".join(parts)
