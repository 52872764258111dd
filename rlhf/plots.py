"""Which numbers of a run are drawn: titles, units, what each line means."""

from __future__ import annotations

from django.utils.translation import gettext as _

from annotator.plots import Plot, Series
from rlhf.lm.configs import DPO, ILQL, PPO, SFT
from rlhf.lm.over_optimisation import GOLD, REWARD
from rlhf.models import Run


def plots_of(run: Run) -> list[Plot]:
    """The plots of a run's kind, in the order in which they are read."""
    if run.kind == Run.Kind.REWARD:
        return _reward_plots()
    if run.kind == Run.Kind.POLICY:
        algorithm = run.config.get("algorithm")
        if algorithm == ILQL:
            return _q_learning_plots(run)
        found = _offline_plots(run) if algorithm in (DPO, SFT) else _policy_plots(run)
        return [*found[:1], *_gold_plots(run), *found[1:], _speed()]
    if run.kind == Run.Kind.GENERATION:
        return _generation_plots()
    if run.kind == Run.Kind.SCORING:
        return [Plot("gold", _("Gold metric"), _("contrast, nats a token"), (Series("gold", _("Mean")),))]
    return []


def _gold_plots(run: Run) -> list[Plot]:
    """Gold beside the reward of the same texts, where they were measured along the run."""
    if not run.config.get("gold_every"):
        return []
    return [
        Plot(
            "gold",
            _("Gold metric"),
            _("contrast, nats a token"),
            (Series(GOLD, _("Held-out tasks")),),
            hint=_("If it falls while the next curve rises, the reward is being gamed."),
        ),
        Plot(
            "gold_reward",
            _("Reward of the same instructions"),
            _("pessimistic score of the reward model"),
            (Series(REWARD, _("Held-out tasks")),),
        ),
    ]


def _generation_plots() -> list[Plot]:
    return [
        Plot(
            "distinct",
            _("Variety"),
            _("different pairs of words"),
            (Series("distinct_2", _("Distinct-2")),),
            percent=True,
        ),
        Plot(
            "tokens",
            _("Length"),
            _("tokens an instruction"),
            (Series("tokens", _("Mean")),),
        ),
        Plot(
            "finished",
            _("Ended by themselves"),
            _("of the instructions"),
            (Series("finished", _("Share")),),
            hint=_("The others were cut at the length limit."),
            percent=True,
        ),
    ]


def _reward_plots() -> list[Plot]:
    return [
        Plot(
            "loss",
            _("Loss"),
            _("nats a judgment"),
            (Series("loss", _("Training")),),
            hint=_("Lower is better; it falls until the heads fit."),
        ),
        Plot(
            "accuracy",
            _("Accuracy"),
            _("pairs ordered as people did"),
            (
                Series("accuracy_train", _("Training")),
                Series("accuracy_held_out", _("Held-out")),
            ),
            hint=_("Held-out falling while training rises means learning by heart."),
            percent=True,
            level={"value": 0.5, "label": _("chance")},
        ),
    ]


def _offline_plots(run: Run) -> list[Plot]:
    plots = [
        Plot(
            "loss",
            _("Loss"),
            _("nats"),
            (Series("loss", _("Training")),),
            hint=_("Lower is better; on texts it has seen it always falls."),
        ),
        Plot(
            "chosen",
            _("Preferred instructions"),
            _("nats above the reference"),
            (Series("chosen", _("Log-ratio")),),
            hint=_("Falling, even what people prefer becomes less likely."),
        ),
    ]
    if run.config["algorithm"] == DPO:
        plots.append(
            Plot(
                "accuracy",
                _("Accuracy"),
                _("pairs ordered as people did"),
                (Series("accuracy_train", _("Training")),),
                percent=True,
                level={"value": 0.5, "label": _("chance")},
            )
        )
        plots.append(
            Plot(
                "margin", _("Margin"), _("by which the preferred one leads"), (Series("margin", _("Margin")),)
            )
        )
    return plots


def _q_learning_plots(run: Run) -> list[Plot]:
    """Of the texts that are rated, of the epochs over them, and of each β that is tried at the end."""
    return [
        Plot(
            "q_loss",
            _("Loss of Q and V"),
            _("squared rewards"),
            (Series("q_loss", _("Q")), Series("v_loss", _("V"))),
            hint=_("Rewards have a spread of 1."),
        ),
        Plot(
            "fit",
            _("Fit"),
            _("correlation of Q with what came of a text"),
            (
                Series("fit_train", _("Training")),
                Series("fit_held_out", _("Tasks left aside")),
            ),
            hint=_("The epoch that fits tasks left aside best is kept."),
        ),
        Plot(
            "values",
            _("Values"),
            _("rewards"),
            (Series("q", _("Q")), Series("v", _("V"))),
            hint=_(
                "What words are worth that were written, and beginnings. Rising without end, they run away."
            ),
        ),
        Plot(
            "cql_loss",
            _("CQL term"),
            _("nats a token, of both twins"),
            (Series("cql_loss", _("CQL")),),
            hint=_("How much of Q lies on words that were not written."),
        ),
        Plot("beta", _("Beta"), _("weight of Q in writing"), (Series("beta", _("Beta")),)),
        *_policy_plots(run),
    ]


def _speed() -> Plot:
    return Plot(
        "speed",
        _("Speed"),
        _("tokens a second"),
        (Series("tokens_per_s", _("Tokens a second")),),
        hint=_("Of writing, or where nothing is written of learning."),
    )


def _policy_plots(run: Run) -> list[Plot]:
    budget = run.config.get("kl_budget")
    return [
        Plot(
            "reward",
            _("Reward"),
            _("score of the reward model"),
            (Series("reward", _("Pessimistic")), Series("score", _("Mean score"))),
            hint=_("What the run raises."),
        ),
        Plot(
            "kl",
            _("Distance from the reference"),
            _("KL, nats an instruction"),
            (Series("kl", _("KL")),),
            hint=_("The price of the reward; the run stops at its budget."),
            level={"value": budget, "label": _("budget")} if budget else None,
        ),
        Plot(
            "entropy",
            _("Entropy"),
            _("nats a token"),
            (Series("entropy", _("Entropy")),),
            hint=_("Near zero, it writes always the same."),
        ),
        Plot("length", _("Length"), _("tokens an instruction"), (Series("length", _("Length")),)),
        Plot(
            "doubt",
            _("Doubt"),
            _("spread of the reward model's heads"),
            (Series("score_std", _("Doubt")),),
            hint=_("Rising, it writes what the reward model knows nothing of."),
        ),
        Plot(
            "repetition",
            _("Repetition"),
            _("of what an instruction says, said before"),
            (Series("repetition", _("Repetition")),),
            hint=_("A way of gaming the reward that people see at once."),
            percent=True,
        ),
        *(_value_plots() if run.config.get("algorithm") == PPO else []),
    ]


def _value_plots() -> list[Plot]:
    return [
        Plot(
            "explained",
            _("Value head"),
            _("of the rewards' variance"),
            (Series("explained_variance", _("Explained")),),
            hint=_(
                "How much of an instruction's reward PPO had expected; at or below zero it knows nothing yet."
            ),
            percent=True,
        ),
        Plot(
            "clipped",
            _("Clipped"),
            _("of the tokens, in the last epoch"),
            (Series("clip_fraction", _("Share")),),
            hint=_("Much of it: the learning rate or the number of epochs is too high."),
            percent=True,
        ),
    ]
