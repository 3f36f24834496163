"""Instances that a person can solve: the second formulation is held against arithmetic before Rust is held against it."""

import math


def instance(months=2, **changes):
    """One contract on one pool and one serving workload: 10 units a month at 2, of which 1 unit serves 3 tokens.

    8 x 3 = 24 tokens a month are wanted, for 1 each: a unit earns 3, costs 2, and 8 are used. So a month brings 8.
    """
    supply = {
        "name": "supply", "contract": 0, "on": {"Pool": 0}, "site": 0, "accelerator": 0, "party": 0, "vendor": 1, "choice": None,
        "floating": False, "rate": [2.0] * months, "due": list(range(months)), "energy": [0.0] * months, "arithmetic": 1.0,
        "base_units": 3.6e12,
    }
    tranche = {"tier": "Default", "demand": [24.0] * months, "price": [1.0] * months, "value": [0.0] * months, "least": 0.0}
    limit = {
        "name": "capacity", "kind": {"Contract": 0}, "terms": [[0, 1.0]], "most": {"fixed": [10.0] * months, "by_choice": []},
        "expansions": [],
    }
    treasury = {
        "cash": 100.0, "floor": [0.0] * months, "interest": 0.0, "bound": True, "debt": None, "windows": [], "events": [],
    }
    whole = {
        "months": [{}] * months, "steps": [{"month": month, "hours": 730.0} for month in range(months)], "choices": [],
        "supplies": [supply], "works": [{"name": "serve", "workload": 0, "kind": {"Serving": {"model": 0, "tranches": [tranche]}}}],
        "fits": [{"supply": 0, "work": 0, "speed": 3.0, "open": [[0, months]]}], "limits": [limit], "expansions": [], "tiered": [],
        "floors": [], "credits": [], "ventures": [], "caps": [], "bars": [], "treasury": treasury, "gap_cost": 10.0, "miss_cost": [10.0],
    }
    for path, value in changes.items():
        place, keys = whole, path.split("__")
        for key in keys[:-1]:
            place = place[int(key)] if key.isdigit() else place[key]
        place[int(keys[-1]) if keys[-1].isdigit() else keys[-1]] = value
    return whole


def event(kind, amounts):
    return {"name": kind, "kind": kind, "party": None, "contract": None, "likelihood": 1.0, "amounts": {"fixed": amounts, "by_choice": []}}


def floor(least, due, terms, **changes):
    fixed = lambda amount: {"fixed": [amount], "by_choice": []}
    return {
        "name": "floor", "contract": 0, "clause": 0, "window": {}, "last": due, "due": due, "least": fixed(least), "counted": fixed(0.0),
        "terms": terms, "tiered": [], "nested": [], "expansions": [], "price": 1.0, "carry": None, "abated": False, "abated_by": None,
        **changes,
    }


def tiered(tiers, volume=False):
    terms = [[0, 0, 1.0], [0, 1, 1.0]]
    return {"name": "tiers", "contract": 0, "clause": 0, "terms": terms, "volume": volume, "tiers": tiers, "due": 1, "after": None}


def expansion(**changes):
    return {
        "name": "more", "contract": 0, "clause": 0, "accelerator": 0, "choice": None, "most": 5.0, "per_month": [5.0] * 3, "lead": 1,
        "held": None, "capex": [1.0] * 3, "running": [0.5] * 3, "due": [0, 1, 2], "supply": None, **changes,
    }


DEMAND = "works__0__kind__Serving__tranches__0__demand"
LEAST = "works__0__kind__Serving__tranches__0__least"
MOST = "limits__0__most__fixed"
TRAINING = {
    "name": "train", "workload": 0,
    "kind": {"Training": {"arrivals": [12.0, 0.0], "due": [0.0, 12.0], "value": 4.0, "promised": False, "gang": 8}},
}
CHOICE = {"name": "sign", "contract": 0, "moved": 0, "group": 0, "by": 0}

# Each case: what it shows, the optimum by hand, the instance.
STATED = [
    # 100 + 2 x (24 x 1 - 8 x 2).
    ("one supply and one work", 116.0, instance()),
    # 5 units serve 15 tokens: 100 + 2 x (15 - 10).
    ("capacity binds", 110.0, instance(**{MOST: [5.0, 5.0]})),
    # The first month's capacity is 0, all 24 promised tokens are missed at 10: 100 + 8 - 240.
    ("a promise is broken when it must be", 108.0 - 240.0, instance(**{MOST: [0.0, 10.0], LEAST: 1.0})),
    # Rate 4 against 3 earned: nothing is served but what is promised, 12 tokens by 4 units: 100 + 2 x (12 - 16).
    ("a promise is kept at a loss", 92.0, instance(supplies__0__rate=[4.0, 4.0], **{LEAST: 0.5})),
    # Energy 0.5 a unit: 100 + 2 x 8 x (3 - 2 - 0.5).
    ("energy is paid", 108.0, instance(supplies__0__energy=[0.5, 0.5])),
    # 1 % a month on the opening cash and on what the first month brings: (100 x 1.01 + 8) x 1.01 + 8.
    ("interest", (101.0 + 8.0) * 1.01 + 8.0, instance(treasury__interest=0.01)),
    # Cash 0, and 20 to pay in the first month: 8 + gap - 20 >= 0, gap = 12 at 10 each; then 0 + 8.
    ("a gap of cash", 8.0 - 120.0, instance(treasury__cash=0.0, treasury__events=[event("Cost", [-20.0, 0.0])])),
    # The same with cash that nobody stated: it may be below zero. 8 - 20 + 8.
    ("cash that is not bound", -4.0, instance(treasury__cash=0.0, treasury__bound=False, treasury__events=[event("Cost", [-20.0, 0.0])])),
    # The same with debt at 10 %: 12 drawn; in the second month 1.2 interest and 6.8 repaid: -5.2 owed, no cash.
    ("debt", -5.2, instance(
        treasury__cash=0.0, treasury__events=[event("Cost", [-20.0, 0.0])],
        treasury__debt={"lender": None, "owed": 0.0, "limit": [50.0, 50.0], "rate": 0.1, "covenant": None})),
    # With a covenant of 2 % of twelve times 24 in the first month: 5.76 drawn and a gap of 6.24; then 0.576 interest on it.
    ("a covenant looks twelve months back", 8.0 - 0.576 - 5.76 - 62.4, instance(
        treasury__cash=0.0, treasury__events=[event("Cost", [-20.0, 0.0])],
        treasury__debt={"lender": None, "owed": 0.0, "limit": [50.0, 50.0], "rate": 0.1, "covenant": 0.02})),
    # A raise that costs half as much again is taken for the 12 that are missing only: 12 - 20 + 16 - 18.
    ("a raise as far as it is needed", 8.0 - 18.0, instance(
        treasury__cash=0.0, treasury__events=[event("Cost", [-20.0, 0.0])],
        treasury__windows=[{"name": "raise", "party": None, "open": [0, 1], "most": 50.0, "cost": 0.5, "likelihood": 0.5}])),
    # A floor of 36 in money over both months, of which 32 are used: 4 short. One more unit would save 2 and cost 2: no gain.
    ("a floor", 112.0, instance(floors=[floor(36.0, 1, [[0, 0, 2.0], [0, 1, 2.0]])])),
    # Rate 4, price 3: below the floor of 40 a unit costs nothing more, so 8 + 2 are used up to it: 48 earned, 64 paid > 40.
    # Without use 40 are paid for nothing; each unit used up to 10 earns 3, beyond it loses 1: 10 used, 30 earned, 40 paid.
    ("below a floor a unit is free", 90.0, instance(supplies__0__rate=[4.0, 4.0], floors=[floor(40.0, 1, [[0, 0, 4.0], [0, 1, 4.0]])])),
    # The first month uses 16 against 10: 3 of the excess of 6 are carried, so of 19 the second month lacks 19 - 16 - 3 = 0.
    ("an excess is carried over", 116.0, instance(floors=[
        floor(10.0, 0, [[0, 0, 2.0]], carry=[0.5, [1]]), floor(19.0, 1, [[0, 1, 2.0]])])),
    # An umbrella of 40 counts 32 of use and the 4 that the contract under it is short.
    ("a nested shortfall counts", 116.0 - 4.0 - 4.0, instance(floors=[
        floor(36.0, 1, [[0, 0, 2.0], [0, 1, 2.0]]), floor(40.0, 1, [[0, 0, 2.0], [0, 1, 2.0]], nested=[0])])),
    # 16 units: 10 at 2 and 6 at 1.
    ("graduated tiers", 100.0 + 48.0 - 26.0, instance(supplies__0__rate=[0.0, 0.0], tiered=[tiered([[0.0, 2.0], [10.0, 1.0]])])),
    # 16 units at 1.
    ("volume tiers", 100.0 + 48.0 - 16.0, instance(supplies__0__rate=[0.0, 0.0], tiered=[tiered([[0.0, 2.0], [10.0, 1.0]], volume=True)])),
    # Tiers over the term: 8 at 2 in the first month; the second finds 8 had, so 2 at 2 and 6 at 1.
    ("tiers over the term", 100.0 + 48.0 - 16.0 - 10.0, instance(supplies__0__rate=[0.0, 0.0], tiered=[
        {**tiered([[0.0, 2.0], [10.0, 1.0]]), "terms": [[0, 0, 1.0]], "due": 0},
        {**tiered([[0.0, 2.0], [10.0, 1.0]]), "terms": [[0, 1, 1.0]], "after": 0}])),
    # 20 prepaid from the first month on: 16 of its charges and 4 of the second's are paid by it.
    ("a credit moves on", 136.0, instance(credits=[
        {"name": "credit", "contract": 0, "clause": 0, "choice": None, "granted": [20.0, 0.0], "committed": [0.0, 0.0], "refundable": False}])),
    # Training 12 units: 10 + 2 of capacity at 1 each, worth 4 - 2.
    ("a backlog", 100.0 + 12.0 * 2.0, instance(works__0=TRAINING, fits__0__speed=1.0, miss_cost=[0.0])),
    # With 5 a month 10 are done, 2 given up; the deadline is a promise at 10 times the value.
    ("a deadline that is promised", 100.0 + 10.0 * 2.0 - 2.0 * 40.0, instance(
        works__0={**TRAINING, "kind": {"Training": {**TRAINING["kind"]["Training"], "promised": True}}},
        fits__0__speed=1.0, miss_cost=[0.0], **{MOST: [5.0, 5.0]})),
    # Three months at 5, up to 3 more are useful from the second on: 3 ordered at once cost 3 + 2 x 1.5 and earn 2 x 3.
    ("an expansion that does not pay", 100.0 + 3 * 5.0, instance(3, expansions=[expansion()], **{MOST: [5.0] * 3},
        limits__0__expansions=[[0, [1.0] * 3]])),
    # Free to run and 1 each to order: 3 ordered cost 3 and bring 2 x 3.
    ("an expansion that pays", 100.0 + 3 * 5.0 - 3.0 + 6.0, instance(3, expansions=[expansion(running=[0.0] * 3)], **{MOST: [5.0] * 3},
        limits__0__expansions=[[0, [1.0] * 3]])),
    # Held back from month 1 to month 2: it serves one month only, 3 - 3.
    ("an expansion that is held back", 100.0 + 3 * 5.0, instance(3, expansions=[expansion(running=[0.0] * 3, held=[1, 2], capex=[1.5] * 3)],
        **{MOST: [5.0] * 3}, limits__0__expansions=[[0, [1.0] * 3]])),
    # Signing brings 10 units a month for 5 in all, so 16 - 5.
    ("a choice that pays", 111.0, instance(choices=[CHOICE], limits__0__most={"fixed": [0.0, 0.0], "by_choice": [[0, [10.0, 10.0]]]},
        treasury__events=[{**event("Committed", [0.0, 0.0]), "amounts": {"fixed": [0.0, 0.0], "by_choice": [[0, [-5.0, 0.0]]]}}])),
    # The same for 20: not signed.
    ("a choice that does not pay", 100.0, instance(choices=[CHOICE], limits__0__most={"fixed": [0.0, 0.0], "by_choice": [[0, [10.0, 10.0]]]},
        treasury__events=[{**event("Committed", [0.0, 0.0]), "amounts": {"fixed": [0.0, 0.0], "by_choice": [[0, [-20.0, 0.0]]]}}])),
    # It would pay, and a clause bars it.
    ("a choice that is barred", 100.0, instance(choices=[CHOICE], limits__0__most={"fixed": [0.0, 0.0], "by_choice": [[0, [10.0, 10.0]]]},
        bars=[{"name": "bar", "kind": "FirstRefusal", "contract": None, "lifts": {"Choice": 0}}])),
    # All spend is on the party and at most half may be: nothing is served.
    ("a cap of spend", 100.0, instance(caps=[{"name": "cap", "party": 0, "share": 0.5, "spend": True, "months": [0, 2]}])),
    # All work is on its chips' maker, capped in the second month only.
    ("a cap of work", 108.0, instance(caps=[{"name": "cap", "party": 1, "share": 0.5, "spend": False, "months": [1, 2]}])),
]


def case(expected, stated):
    def check(optimum):
        found = optimum(stated)
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-7), f"by hand {expected}, by the formulation {found}"

    return check


CASES = [(name, case(expected, stated)) for name, expected, stated in STATED]
