"""An instance, as it comes from JSON, in arrays by position: nothing is decided here, only laid out."""

import numpy as np


class Tables:
    """Arrays of an instance; names follow `crates/core/planner/src/instance.rs`."""

    def __init__(self, instance):
        self.instance = instance
        self.months = len(instance["months"])
        self.steps = len(instance["steps"])
        self.choices = len(instance["choices"])
        self.supplies = len(instance["supplies"])
        self.works = len(instance["works"])
        self.expansions = len(instance["expansions"])
        self.month_of = np.array([step["month"] for step in instance["steps"]])
        self._lay_out_supplies()
        self._lay_out_works()
        self._lay_out_expansions()
        self._lay_out_money()

    def _lay_out_supplies(self):
        supplies = self.instance["supplies"]
        self.rate = np.array([supply["rate"] for supply in supplies]).reshape(self.supplies, self.steps)
        self.energy = np.array([supply["energy"] for supply in supplies]).reshape(self.supplies, self.months)
        self.due = np.array([supply["due"] for supply in supplies], dtype=int).reshape(self.supplies, self.months)
        self.arithmetic = np.array([supply["arithmetic"] for supply in supplies])
        self.speed = np.zeros((self.supplies, self.works))
        self.open = np.zeros((self.supplies, self.works, self.steps), dtype=bool)
        for fit in self.instance["fits"]:
            at = fit["supply"], fit["work"]
            assert self.speed[at] == 0.0, f"two fits of supply {at[0]} and work {at[1]}"
            self.speed[at] = fit["speed"]
            for first, end in fit["open"]:
                self.open[at][first:end] = True

    def _lay_out_works(self):
        kinds = [work["kind"] for work in self.instance["works"]]
        self.serving = [at for at, kind in enumerate(kinds) if "Serving" in kind]
        self.training = [at for at, kind in enumerate(kinds) if "Training" in kind]
        self.tranches = [(at, tranche) for at in self.serving for tranche in kinds[at]["Serving"]["tranches"]]
        self.tranche_work = np.array([at for at, _ in self.tranches], dtype=int)
        table = lambda key: np.array([tranche[key] for _, tranche in self.tranches]).reshape(len(self.tranches), self.steps)
        self.demand, self.price, self.value = table("demand"), table("price"), table("value")
        self.least = np.array([tranche["least"] for _, tranche in self.tranches])
        self.miss_cost = np.array(self.instance["miss_cost"])
        of = [kinds[at]["Training"] for at in self.training]
        self.arrivals = np.array([one["arrivals"] for one in of]).reshape(len(of), self.months)
        self.training_due = np.array([one["due"] for one in of]).reshape(len(of), self.months)
        self.training_value = np.array([one["value"] for one in of])
        self.promised = np.array([one["promised"] for one in of], dtype=bool)

    def _lay_out_expansions(self):
        expansions = self.instance["expansions"]
        table = lambda key: np.array([one[key] for one in expansions]).reshape(self.expansions, self.months)
        self.per_month, self.capex, self.running = table("per_month"), table("capex"), table("running")
        self.expansion_due = table("due").astype(int)

    def _lay_out_money(self):
        treasury = self.instance["treasury"]
        self.event_fixed = {}
        self.event_by_choice = {}
        for event in treasury["events"]:
            kind = event["kind"]
            fixed = self.event_fixed.setdefault(kind, np.zeros(self.months))
            fixed += event["amounts"]["fixed"]
            by_choice = self.event_by_choice.setdefault(kind, np.zeros((self.choices, self.months)))
            for choice, amounts in event["amounts"]["by_choice"]:
                by_choice[choice] += amounts

    def suppliers(self, contract):
        """With whom a contract is, by its supplies."""
        return {one["party"] for one in self.instance["supplies"] if one["contract"] == contract}

    def most_used(self):
        """More than any plan could use, by supply and step: what limits leave, and what the work could take."""
        most = np.full((self.supplies, self.steps), np.inf)
        for limit in self.instance["limits"]:
            there = np.array(limit["most"]["fixed"]) + sum(np.maximum(amounts, 0.0) for _, amounts in limit["most"]["by_choice"])
            for at, amounts in limit["expansions"]:
                there = there + np.maximum(amounts, 0.0) * self.instance["expansions"][at]["most"]
            for supply, factor in limit["terms"]:
                if factor > 0.0:
                    most[supply] = np.minimum(most[supply], there / factor)
        asked = np.zeros((self.works, self.steps))
        np.add.at(asked, self.tranche_work, self.demand)
        asked[self.training] = self.arrivals.sum(axis=1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            could = np.where(self.open, asked[None] / self.speed[:, :, None], 0.0).sum(axis=1)
        return np.minimum(most, could)
