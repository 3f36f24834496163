"""The problem of `docs/plan.md`, stated a second time: in linopy, from an instance alone.

Nothing here was written from the Rust code that states it. Where contracts need a yes or no (a tier that is cheaper
the more is used, an excess that is carried over) this one has it too, so that its optimum is that of the contract.
"""

import linopy
import numpy as np
import pandas as pd
from xarray import DataArray

linopy.options["semantics"] = "v1"

COVENANT_MONTHS = 12  # that a covenant looks back


def index(name, count):
    return pd.RangeIndex(count, name=name)


def onto(expression, labels, name, count):
    """Sums an expression's entries into the rows that `labels` names; a row that none names is zero."""
    grouped = expression.groupby(labels.rename(name)).sum()
    return grouped.reindex({name: range(count)}).fillna(0)


def at(expression, name, **positions):
    """The entries at these positions, one after the other along `name`, each known by its place there only."""
    picked = expression.isel({dim: DataArray(places, dims=name) for dim, places in positions.items()})
    return picked.drop_vars(list(positions), errors="ignore")


class Formulation:
    """The model of one instance; `build` states it, `worth` reads a solution."""

    def __init__(self, tables, sparse=False):
        self.tables = tables
        self.instance = tables.instance
        self.model = linopy.Model(sparse=sparse)
        self.month = index("month", tables.months)
        self.step = index("step", tables.steps)

    def build(self):
        """States everything and returns the model."""
        self.choose()
        self.use()
        self.expand()
        self.limit()
        self.serve()
        self.train()
        self.tier()
        self.settle_floors()
        self.credit()
        self.spend()
        self.depend()
        self.borrow()
        self.keep_cash()
        self.aim()
        return self.model

    # What is signed, used and installed.

    def choose(self):
        count = self.tables.choices
        self.taken = None
        if count == 0:
            return
        self.taken = 1 * self.model.add_variables(binary=True, coords=[index("choice", count)], name="taken")
        groups = DataArray([choice["group"] for choice in self.instance["choices"]], dims="choice", name="group")
        self.model.add_constraints(self.taken.groupby(groups).sum() <= 1, name="one of a group")
        for choice in self._barred("Choice"):
            self.model.add_constraints(self.taken.isel(choice=choice) == 0, name=f"barred {choice}")

    def fix(self, choices):
        """From here on these choices are made, and no others."""
        self.model.add_constraints(self.taken == DataArray(choices, dims="choice"), name="as chosen")

    def _barred(self, what):
        """What a clause bars: a choice, or orders under an expansion in months."""
        return [bar["lifts"][what] for bar in self.instance["bars"] if what in bar["lifts"]]

    def by_choice(self, amounts):
        """`sum(choice x amounts)` for amounts by choice and another dimension; zero without choices."""
        return (self.taken * amounts).sum("choice") if self.taken is not None else 0

    def use(self):
        tables = self.tables
        coords = [index("supply", tables.supplies), index("work", tables.works), self.step]
        mask = DataArray(tables.open, dims=["supply", "work", "step"])
        self.used = self.model.add_variables(lower=0, coords=coords, mask=mask, name="used").fillna(0)
        self.quantity = self.used.sum("work")
        self.step_month = DataArray(tables.month_of, dims="step", name="month")

    def monthly(self, expression):
        """An expression by step, summed to months."""
        if self.tables.steps == self.tables.months:
            return expression.rename(step="month")
        return onto(expression, self.step_month, "month", self.tables.months)

    def expand(self):
        tables, model = self.tables, self.model
        self.ordered = self.installed = None
        if tables.expansions == 0:
            return
        coords = [index("expansion", tables.expansions), self.month]
        per_month = tables.per_month.copy()
        for expansion, first, end in self._barred("Expansion"):
            per_month[expansion, first:end] = 0.0
        per_month = DataArray(per_month, dims=["expansion", "month"])
        self.ordered = model.add_variables(lower=0, upper=per_month, coords=coords, name="ordered") * 1
        self.installed = model.add_variables(lower=0, coords=coords, name="installed") * 1
        rises = self.installed - self.installed.shift(month=1).fillna(0)
        expansions = self.instance["expansions"]
        for lead, held in sorted({(one["lead"], tuple(one["held"] or (0, 0))) for one in expansions}):
            of = [place for place, one in enumerate(expansions) if (one["lead"], tuple(one["held"] or (0, 0))) == (lead, held)]
            arrival = DataArray([self._arrival(month + lead, *held) for month in range(tables.months)], dims="ordered")
            arrives = onto(self.ordered.isel(expansion=of).rename(month="ordered"), arrival, "month", tables.months)
            model.add_constraints(rises.isel(expansion=of) - arrives == 0, name=f"installed after {lead}, held {held}")
        self._bound_orders()

    @staticmethod
    def _arrival(month, first, end):
        """When what should come in a month comes: not while chips are held back, and after the plan never."""
        return end if first <= month < end else month

    def _bound_orders(self):
        expansions = self.instance["expansions"]
        most = DataArray([one["most"] for one in expansions], coords=[index("expansion", len(expansions))])
        free = [place for place, one in enumerate(expansions) if one["choice"] is None]
        bound = [place for place, one in enumerate(expansions) if one["choice"] is not None]
        total = self.ordered.sum("month")
        if free:
            self.model.add_constraints(total.isel(expansion=free) <= most[free], name="most ordered")
        if bound:
            signed = at(self.taken, "expansion", choice=[expansions[place]["choice"] for place in bound])
            signed = signed.assign_coords(expansion=bound)
            rows = total.isel(expansion=bound) - signed * most[bound]
            self.model.add_constraints(rows <= 0, name="most ordered when signed")
        chips = {}
        for place, one in enumerate(expansions):
            if one["supply"] is not None:
                chips.setdefault(one["accelerator"], []).append(place)
        for accelerator, of in chips.items():
            there = DataArray(expansions[of[0]]["supply"], dims="month")
            self.model.add_constraints(self.ordered.isel(expansion=of).sum("expansion") <= there, name=f"chips of {accelerator}")

    def limit(self):
        limits = self.instance["limits"]
        terms = [(place, supply, factor) for place, one in enumerate(limits) for supply, factor in one["terms"]]
        if not terms:
            return
        rows, supplies, factors = map(np.array, zip(*terms))
        taken_up = at(self.quantity, "term", supply=supplies) * DataArray(factors, dims="term")
        left = onto(taken_up, DataArray(rows, dims="term"), "limit", len(limits))
        parts = [(place, expansion, amounts) for place, one in enumerate(limits) for expansion, amounts in one["expansions"]]
        if parts:
            rows, expansions, amounts = map(np.array, zip(*parts))
            there = at(self.installed, "step", month=self.tables.month_of).assign_coords(step=self.step)
            added = at(there, "part", expansion=expansions) * DataArray(amounts, dims=["part", "step"])
            left = left - onto(added, DataArray(rows, dims="part"), "limit", len(limits))
        parts = [(place, choice, amounts) for place, one in enumerate(limits) for choice, amounts in one["most"]["by_choice"]]
        if parts:
            rows, choices, amounts = map(np.array, zip(*parts))
            added = at(self.taken, "part", choice=choices) * DataArray(amounts, dims=["part", "step"])
            left = left - onto(added.assign_coords(step=self.step), DataArray(rows, dims="part"), "limit", len(limits))
        most = DataArray([one["most"]["fixed"] for one in limits], dims=["limit", "step"])
        self.model.add_constraints(left <= most, name="limit")

    # What is asked for.

    def serve(self):
        tables, model = self.tables, self.model
        self.served = self.missed = None
        if not tables.tranches:
            return
        tranche, work = index("tranche", len(tables.tranches)), index("work", tables.works)
        demand = DataArray(tables.demand, dims=["tranche", "step"])
        self.served = model.add_variables(lower=0, upper=demand, coords=[tranche, self.step], name="served")
        of_work = DataArray(tables.tranche_work, dims="tranche")
        serving = onto(1 * self.served, of_work, "work", tables.works).isel(work=tables.serving)
        speed = DataArray(tables.speed, dims=["supply", "work"])
        self.done = (self.used * speed).sum("supply")
        model.add_constraints(self.done.isel(work=tables.serving) - serving == 0, name="serving")
        promised = np.zeros((tables.works, tables.steps))
        np.add.at(promised, tables.tranche_work, tables.least[:, None] * tables.demand)
        mask = DataArray(promised > 0.0, dims=["work", "step"])
        self.missed = model.add_variables(lower=0, coords=[work, self.step], mask=mask, name="missed").fillna(0)
        kept = serving + self.missed.isel(work=tables.serving)
        wanted = DataArray(promised, coords=[work, self.step]).isel(work=tables.serving)
        model.add_constraints(kept >= wanted, mask=wanted > 0.0, name="promised")

    def train(self):
        tables, model = self.tables, self.model
        self.trained = None
        if not tables.training:
            return
        coords = [index("training", len(tables.training)), self.month]
        arrived, due = tables.arrivals.cumsum(axis=1), tables.training_due.cumsum(axis=1)
        room = DataArray(np.maximum(arrived - due, 0.0), dims=["training", "month"])
        backlog = model.add_variables(lower=0, upper=room, coords=coords, name="backlog")
        self.late = model.add_variables(lower=0, coords=coords, name="late")
        of = self.used.isel(work=tables.training) * DataArray(tables.speed[:, tables.training], dims=["supply", "work"])
        done = of.sum("supply").rename(work="training").assign_coords(training=coords[0])
        self.trained = self.monthly(done)
        balance = backlog - backlog.shift(month=1).fillna(0) + self.trained + self.late
        model.add_constraints(balance == DataArray(tables.arrivals, dims=["training", "month"]), name="backlog")

    # What contracts come to.

    def tier(self):
        """Charges by tier: `so_far` is what the tiers have had by the end of a period, `part` which of them charges how much.

        Graduated tiers fill up one after the other, so a period's part of each is what it adds; with volume the one tier
        that is reached charges all.
        """
        tables, model, tiered = self.tables, self.model, self.instance["tiered"]
        self.tier_cost = None
        if not tiered:
            return
        count, width = len(tiered), max(len(one["tiers"]) for one in tiered)
        terms = [(place, *term) for place, one in enumerate(tiered) for term in one["terms"]]
        rows, supplies, steps, shares = map(np.array, zip(*terms))
        counts = self.pick(supplies, steps) * DataArray(shares, dims="term")
        counted = onto(counts, DataArray(rows, dims="term"), "tiered", count)
        ample = np.bincount(rows, (tables.most_used()[supplies, steps] * shares).clip(0.0), count) + 1.0
        before = []
        for place, one in enumerate(tiered):
            before.append((before[one["after"]] if one["after"] is not None else []) + [place])
        highest = [ample[of].sum() for of in before]
        rows, of = map(np.array, zip(*[(place, earlier) for place, of in enumerate(before) for earlier in of]))
        so_far = onto(at(counted, "term", tiered=of), DataArray(rows, dims="term"), "tiered", count)
        begins, ends, rates = (np.zeros((count, width)) for _ in range(3))
        there = np.zeros((count, width), dtype=bool)
        for place, one in enumerate(tiered):
            thresholds = [threshold for threshold, _ in one["tiers"]]
            for tier, (threshold, rate) in enumerate(one["tiers"]):
                there[place, tier], begins[place, tier], rates[place, tier] = True, threshold, rate
                ends[place, tier] = thresholds[tier + 1] if tier + 1 < len(thresholds) else threshold + highest[place]
        coords, dims = [index("tiered", count), index("tier", width)], ["tiered", "tier"]
        array = lambda values: DataArray(values, dims=dims)
        part = model.add_variables(lower=0, coords=coords, mask=array(there), name="part").fillna(0)
        reached = model.add_variables(binary=True, coords=coords, mask=array(there), name="reached").fillna(0)
        volume = np.array([one["volume"] for one in tiered])
        charged = part * array(rates)
        if volume.any():
            of = np.flatnonzero(volume)
            model.add_constraints((part.sum("tier") - counted).isel(tiered=of) == 0, name="volume")
            model.add_constraints(reached.isel(tiered=of).sum("tier") == 1, name="one tier")
            model.add_constraints((so_far - (reached * array(begins)).sum("tier")).isel(tiered=of) >= 0, name="tier begins")
            model.add_constraints((so_far - (reached * array(ends)).sum("tier")).isel(tiered=of) <= 0, name="tier ends")
            model.add_constraints((part - reached * DataArray(ample, dims="tiered")).isel(tiered=of) <= 0, name="tier charges")
        if not volume.all():
            of = np.flatnonzero(~volume)
            model.add_constraints((part.sum("tier") - so_far).isel(tiered=of) == 0, name="graduated")
            model.add_constraints((part - reached * array(ends - begins)).isel(tiered=of) <= 0, name="tier reached")
            full = reached.shift(tier=-1).fillna(0) * array(ends - begins)
            model.add_constraints((part - full).isel(tiered=of) >= 0, name="tier full")
            after = [place for place in of if tiered[place]["after"] is not None]
            if after:
                earlier = at(part, "tiered", tiered=[tiered[place]["after"] for place in after])
                had = (earlier * array(rates)[after]).sum("tier")
                self.tier_cost = charged.sum("tier") - onto(had, DataArray(after, dims="tiered", name="after"), "after", count).rename(after="tiered")
        if self.tier_cost is None:
            self.tier_cost = charged.sum("tier")

    def pick(self, supplies, steps):
        """Quantities of these supplies in these steps, one after the other."""
        return at(self.used, "term", supply=supplies, step=steps).sum("work")

    def settle_floors(self):
        model, floors = self.model, self.instance["floors"]
        self.short = None
        if not floors:
            return
        count = len(floors)
        self.short = model.add_variables(lower=0, coords=[index("floor", count)], name="short") * 1
        counted = self._counted()
        least = np.array([one["least"]["fixed"][0] - one["counted"]["fixed"][0] for one in floors])
        parts = [(place, choice, sign * amount[0]) for place, one in enumerate(floors) for key, sign in (("least", -1), ("counted", 1))
                 for choice, amount in one[key]["by_choice"]]
        if parts:
            rows, choices, amounts = map(np.array, zip(*parts))
            signed = at(self.taken, "part", choice=choices) * DataArray(amounts, dims="part")
            counted = counted + onto(signed, DataArray(rows, dims="part"), "floor", count)
        carried = self._carry(counted, least)
        model.add_constraints(counted + self.short + carried >= DataArray(least, dims="floor"), name="floor")

    def _counted(self):
        """What counts towards each floor beside fixed amounts."""
        floors, count = self.instance["floors"], len(self.instance["floors"])
        counted = 0 * self.short
        terms = [(place, *term) for place, one in enumerate(floors) for term in one["terms"]]
        if terms:
            rows, supplies, steps, amounts = map(np.array, zip(*terms))
            used = self.pick(supplies, steps) * DataArray(amounts, dims="term")
            counted = counted + onto(used, DataArray(rows, dims="term"), "floor", count)
        terms = [(place, of) for place, one in enumerate(floors) for of in one["tiered"]]
        if terms:
            rows, of = map(np.array, zip(*terms))
            cost = at(self.tier_cost, "term", tiered=of)
            counted = counted + onto(cost, DataArray(rows, dims="term"), "floor", count)
        terms = [(place, of) for place, one in enumerate(floors) for of in one["nested"]]
        if terms:
            rows, of = map(np.array, zip(*terms))
            price = DataArray([one["price"] for one in floors], dims="floor")
            paid = at(self.short * price, "term", floor=of)
            counted = counted + onto(paid, DataArray(rows, dims="term"), "floor", count)
        terms = [(place, *term) for place, one in enumerate(floors) for term in one["expansions"]]
        if terms:
            rows, expansions, months, amounts = map(np.array, zip(*terms))
            there = at(self.installed, "term", expansion=expansions, month=months) * DataArray(amounts, dims="term")
            counted = counted + onto(there, DataArray(rows, dims="term"), "floor", count)
        return counted

    def _carry(self, counted, least):
        """What earlier windows' excess adds to each; an excess is what counted beyond the least, and nothing else."""
        model, floors = self.model, self.instance["floors"]
        pairs = [(place, later, one["carry"][0]) for place, one in enumerate(floors) if one["carry"] for later in one["carry"][1]]
        if not pairs:
            return 0
        origin, later, _ = map(np.array, zip(*pairs))
        moved = model.add_variables(lower=0, coords=[index("pair", len(pairs))], name="moved")
        floor = index("floor", len(floors))
        ample = self._ample(least)
        excess = model.add_variables(lower=0, coords=[floor], name="excess")
        exceeds = model.add_variables(binary=True, coords=[floor], name="exceeds")
        beyond = counted - DataArray(least, dims="floor")
        model.add_constraints(excess - beyond + exceeds * DataArray(ample, dims="floor") <= DataArray(ample, dims="floor"), name="excess")
        model.add_constraints(excess - exceeds * DataArray(ample, dims="floor") <= 0, name="no excess")
        # Nor is a shortfall ever more than what was asked for, though what is paid for it may count elsewhere.
        carries = [place for place, one in enumerate(floors) if one["carry"]]
        asked = [floors[place]["least"]["fixed"][0] + sum(max(amount[0], 0.0) for _, amount in floors[place]["least"]["by_choice"]) for place in carries]
        asked = DataArray(asked, coords=[pd.Index(carries, name="floor")])
        model.add_constraints(self.short.isel(floor=carries) <= asked, name="no more than asked")
        share = DataArray([one["carry"][0] if one["carry"] else 0.0 for one in floors], dims="floor")
        out = onto(1 * moved, DataArray(origin, dims="pair"), "floor", len(floors))
        model.add_constraints(out - excess * share <= 0, name="carried")
        return onto(1 * moved, DataArray(later, dims="pair"), "floor", len(floors))

    def _ample(self, least):
        """More than any window could count or need."""
        most, installed = self.tables.most_used(), [one["most"] for one in self.instance["expansions"]]
        ample = []
        for one, need in zip(self.instance["floors"], least):
            used = sum(most[supply, step] * amount for supply, step, amount in one["terms"])
            used += sum(installed[expansion] * amount for expansion, _, amount in one["expansions"])
            for of in one["tiered"]:
                tiered = self.instance["tiered"][of]
                dearest = max(rate for _, rate in tiered["tiers"])
                used += dearest * sum(most[supply, step] * share for supply, step, share in tiered["terms"])
            for of in one["nested"]:
                below = self.instance["floors"][of]
                used += below["price"] * (abs(below["least"]["fixed"][0]) + sum(abs(amount[0]) for _, amount in below["least"]["by_choice"]))
            signed = sum(abs(amount[0]) for key in ("least", "counted") for _, amount in one[key]["by_choice"])
            ample.append(used + abs(need) + signed + 1.0)
        return np.array(ample)

    def credit(self):
        tables, model, credits = self.tables, self.model, self.instance["credits"]
        self.credited = None
        if not credits:
            return
        coords = [index("credit", len(credits)), self.month]
        self.credited = model.add_variables(lower=0, coords=coords, name="credited")
        groups = {}
        for place, one in enumerate(credits):
            groups.setdefault((one["contract"], one["choice"]), []).append(place)
            granted = DataArray(np.cumsum(one["granted"]), dims="month")
            so_far = self.credited.isel(credit=place).cumsum("month")
            model.add_constraints(so_far - self._when(one["choice"], granted) <= 0, name=f"granted {place}")
        for (contract, choice), of in groups.items():
            committed = DataArray(credits[of[0]]["committed"], dims="month")
            rows = self.credited.isel(credit=of).sum("credit") - self._charged(contract) - self._when(choice, committed)
            for other, less in credits[of[0]].get("replaced", []):
                rows = rows - self._when(other, DataArray(less, dims="month"))
            model.add_constraints(rows <= 0, name=f"credit of {contract} {choice}")

    def _when(self, choice, amounts):
        """Amounts by month that are there when a choice is taken, or always."""
        if choice is None:
            return amounts
        return self.taken.isel(choice=choice, drop=True) * amounts

    def _charged(self, contract):
        """Metered charges of a contract, by the month in which they are due."""
        tables = self.tables
        of = [place for place, one in enumerate(self.instance["supplies"]) if one["contract"] == contract]
        cost = (self.quantity * DataArray(tables.rate, dims=["supply", "step"])).isel(supply=of)
        due = DataArray(tables.due[:, tables.month_of][of], coords=[pd.Index(of, name="supply"), self.step])
        charged = onto(cost, due, "month", tables.months)
        tiers = [place for place, one in enumerate(self.instance["tiered"]) if one["contract"] == contract]
        if tiers:
            due = DataArray([self.instance["tiered"][place]["due"] for place in tiers], coords=[pd.Index(tiers, name="tiered")])
            charged = charged + onto(self.tier_cost.isel(tiered=tiers), due, "month", tables.months)
        return charged

    # Money.

    def spend(self):
        """What compute costs, by the month in which it is paid."""
        tables = self.tables
        array = lambda values, *dims: DataArray(values, dims=dims)
        cost = self.quantity * array(tables.rate, "supply", "step")
        paid = onto(cost, array(tables.due[:, tables.month_of], "supply", "step"), "month", tables.months)
        energy = (self.quantity * array(tables.energy[:, tables.month_of], "supply", "step")).sum("supply")
        paid = paid + self.monthly(energy)
        if self.tier_cost is not None:
            due = array([one["due"] for one in self.instance["tiered"]], "tiered")
            paid = paid + onto(self.tier_cost, due, "month", tables.months)
        if self.installed is not None:
            due = array(tables.expansion_due, "expansion", "month")
            running = (self.installed * array(tables.running, "expansion", "month")).rename(month="use")
            paid = paid + onto(running, due.rename(month="use"), "month", tables.months)
            paid = paid + (self.ordered * array(tables.capex, "expansion", "month")).sum("expansion")
        if self.short is not None:
            price = array([one["price"] for one in self.instance["floors"]], "floor")
            due = array([one["due"] for one in self.instance["floors"]], "floor")
            paid = paid + onto(self.short * price, due, "month", tables.months)
        if self.credited is not None:
            paid = paid - self.credited.sum("credit")
        self.paid = paid
        self.revenue = 0
        if self.served is not None:
            earned = (self.served * array(tables.price, "tranche", "step")).sum("tranche")
            self.revenue = self.monthly(earned)
        fixed, by_choice = self.events(["Revenue"])
        self.revenue = self.revenue + by_choice + fixed

    def events(self, kinds):
        """Money of these kinds, by month: what is fixed, and what hangs on choices."""
        tables = self.tables
        fixed = sum((tables.event_fixed.get(kind, 0.0) for kind in kinds), np.zeros(tables.months))
        amounts = sum((tables.event_by_choice.get(kind, 0.0) for kind in kinds), np.zeros((tables.choices, tables.months)))
        return DataArray(fixed, dims="month"), self.by_choice(DataArray(amounts, dims=["choice", "month"]))

    def depend(self):
        for place, cap in enumerate(self.instance["caps"]):
            ours, all_of = self._spend_on(cap["party"]) if cap["spend"] else self._work_on(cap["party"])
            first, end = cap["months"]
            rows = ours - cap["share"] * all_of
            self.model.add_constraints(rows.isel(month=range(first, end)) <= 0, name=f"cap {place}")

    def _on(self, party):
        supplies = self.instance["supplies"]
        return np.array([party in (one["party"], one["vendor"]) for one in supplies], dtype=float)

    def _work_on(self, party):
        work = self.quantity * DataArray(self.tables.arithmetic, dims="supply")
        ours = (work * DataArray(self._on(party), dims="supply")).sum("supply")
        return self.monthly(ours), self.monthly(work.sum("supply"))

    def _spend_on(self, party):
        tables = self.tables
        cost = self.quantity * DataArray(tables.rate, dims=["supply", "step"])
        ours = self.monthly((cost * DataArray(self._on(party), dims="supply")).sum("supply"))
        all_of = self.monthly(cost.sum("supply"))
        if self.tier_cost is not None:
            tiered = self.instance["tiered"]
            due = DataArray([one["due"] for one in tiered], dims="tiered")
            on = [float(self._on(party)[one["terms"][0][0]]) for one in tiered]
            ours = ours + onto(self.tier_cost * DataArray(on, dims="tiered"), due, "month", tables.months)
            all_of = all_of + onto(self.tier_cost, due, "month", tables.months)
        if self.installed is not None:
            expansions = self.instance["expansions"]
            running = (self.installed * DataArray(tables.running, dims=["expansion", "month"])).rename(month="use")
            due = DataArray(tables.expansion_due, dims=["expansion", "use"])
            on = DataArray([float(party in tables.suppliers(one["contract"])) for one in expansions], dims="expansion")
            ours = ours + onto(running * on, due, "month", tables.months)
            all_of = all_of + onto(running, due, "month", tables.months)
        for event in self.instance["treasury"]["events"]:
            if event["kind"] == "Committed":
                amounts = -DataArray(event["amounts"]["fixed"], dims="month")
                for choice, by_choice in event["amounts"]["by_choice"]:
                    amounts = amounts - self.taken.isel(choice=choice, drop=True) * DataArray(by_choice, dims="month")
                all_of = all_of + amounts
                ours = ours + amounts if event["party"] == party else ours
        return ours, all_of

    def borrow(self):
        tables, model, terms = self.tables, self.model, self.instance["treasury"]["debt"]
        self.debt = None
        if terms is None:
            return
        limit = DataArray(terms["limit"], dims="month")
        self.debt = model.add_variables(lower=0, upper=limit, coords=[self.month], name="debt")
        self.drawn = model.add_variables(lower=0, coords=[self.month], name="drawn")
        self.repaid = model.add_variables(lower=0, coords=[self.month], name="repaid")
        owed = np.zeros(tables.months)
        owed[0] = terms["owed"]
        change = self.debt - self.debt.shift(month=1).fillna(0) - self.drawn + self.repaid
        model.add_constraints(change == DataArray(owed, dims="month"), name="debt moves")
        self.debt_interest = self.debt.shift(month=1).fillna(0) * terms["rate"] + DataArray(owed * terms["rate"], dims="month")
        if terms["covenant"] is not None:
            back = np.maximum(np.arange(tables.months)[:, None] - np.arange(COVENANT_MONTHS)[None], 0)
            looks = self.revenue.isel(month=DataArray(back, dims=["at", "back"])).drop_vars("month", errors="ignore")
            trailing = looks.sum("back").rename(at="month").assign_coords(month=self.month)
            model.add_constraints(self.debt - terms["covenant"] * trailing <= 0, name="covenant")

    def keep_cash(self):
        tables, model, treasury = self.tables, self.model, self.instance["treasury"]
        floor = DataArray(treasury["floor"] if treasury["bound"] else np.full(tables.months, -np.inf), dims="month")
        self.cash = model.add_variables(lower=floor, coords=[self.month], name="cash")
        self.gap = model.add_variables(lower=0, coords=[self.month], name="gap")
        opening = np.zeros(tables.months)
        opening[0] = treasury["cash"] * (1.0 + treasury["interest"])
        others = [kind for kind in tables.event_fixed if kind != "Revenue"]
        fixed, by_choice = self.events(others)
        moves = self.revenue + by_choice + fixed + DataArray(opening, dims="month") - self.paid + self.gap
        moves = moves + self.cash.shift(month=1).fillna(0) * (1.0 + treasury["interest"])
        self.raised = None
        if treasury["windows"]:
            self._raise()
            moves = moves + self.raised.sum("window")
        if self.debt is not None:
            moves = moves + self.drawn - self.repaid - self.debt_interest
        model.add_constraints(self.cash - moves == 0, name="cash")

    def _raise(self):
        windows = self.instance["treasury"]["windows"]
        is_open = np.zeros((len(windows), self.tables.months), dtype=bool)
        for place, window in enumerate(windows):
            is_open[place, window["open"][0]:window["open"][1]] = True
        mask = DataArray(is_open, dims=["window", "month"])
        coords = [index("window", len(windows)), self.month]
        self.raised = self.model.add_variables(lower=0, coords=coords, mask=mask, name="raised").fillna(0)
        most = DataArray([window["most"] for window in windows], dims="window")
        self.model.add_constraints(self.raised.sum("month") <= most, name="raise")

    def aim(self):
        """What is best: section 5."""
        tables, treasury, gap_cost = self.tables, self.instance["treasury"], self.instance["gap_cost"]
        array = lambda values, *dims: DataArray(values, dims=dims)
        # Money missing early would earn interest until the end.
        left = np.arange(tables.months)[::-1]
        gap = DataArray((1.0 + treasury["interest"]) ** left, dims="month")
        goal = self.cash.isel(month=-1, drop=True) - gap_cost * (self.gap * gap).sum()
        if self.debt is not None:
            goal = goal - self.debt.isel(month=-1, drop=True)
        if self.raised is not None:
            cost = array([window["cost"] for window in treasury["windows"]], "window")
            goal = goal - (self.raised * (1 + cost)).sum()
        if self.served is not None:
            goal = goal + (self.served * array(tables.value, "tranche", "step")).sum()
            goal = goal - (self.missed * array(tables.miss_cost, "work")).sum()
        if self.trained is not None:
            goal = goal + (self.trained * array(tables.training_value, "training")).sum()
            broken = np.where(tables.promised, gap_cost * tables.training_value, 0.0)
            goal = goal - (self.late * array(broken, "training")).sum()
        self.model.add_objective(goal, sense="max")
