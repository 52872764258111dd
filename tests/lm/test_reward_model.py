"""Training on rankings whose rule is known, judging on held-out tasks, saving, loading, refusing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm import backbones
from rlhf.lm.backbones import load_causal
from rlhf.lm.checkpoints import BadCheckpoint, WrongKind, write_manifest
from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Dataset, Example, Judgment, Record, Task
from rlhf.lm.features import Features
from rlhf.lm.folders import new_folder
from rlhf.lm.inputs import length_powers
from rlhf.lm.reward_inputs import lengths_of
from rlhf.lm.reward_model import RewardModel, fit, read_report
from rlhf.lm.reward_report import RewardReport
from tests.tiny import make_tiny_model

CONFIG = RewardConfig(heads=3, l2=10.0, steps=20, bootstrap=200)
GOOD = ["Write the answer.", "Write a word.", "Write one sentence."]
BAD = ["reply reply reply", "polite polite", "customer email"]
SHOWN = tuple(Example(f"in {n}", f"out {n}") for n in range(4))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def features(models: Path) -> Features:
    folder = make_tiny_model(models / "tiny")
    return Features(load_causal(str(folder), models, torch.float32), cache=models / "features.sqlite")


def dataset(*, tasks: int = 24, held_out: int = 8) -> Dataset:
    """Three annotators rank a good and two bad instructions of each task; carol errs on every third."""
    named = {f"{n}": Task(id=f"{n}", text=f"Task number {n}", held_out=n < held_out) for n in range(tasks)}
    judgments = []
    for n in range(tasks):
        completions = (GOOD[n % 3], BAD[n % 3], BAD[(n + 1) % 3])
        for annotator in ("bob", "carol", "dan"):
            wrong = annotator == "carol" and n % 3 == 0
            ranks = (2, 1, 1) if wrong else (1, 2, 2)
            judgments.append(
                Judgment(f"{n}{annotator}", f"{n}", annotator, completions, ranks, simulated=n % 2 == 0)
            )
    return Dataset(named, tuple(judgments))


def dataset_with_examples() -> Dataset:
    """The same, and each task shows SHOWN."""
    data = dataset()
    tasks = {name: dataclasses.replace(task, examples=SHOWN) for name, task in data.tasks.items()}
    return dataclasses.replace(data, tasks=tasks)


def train(data: Dataset, features: Features, folder: Path, config: RewardConfig = CONFIG) -> RewardReport:
    training = fit(config, dataset=data, features=features, folder=folder)
    while True:
        try:
            next(training)
        except StopIteration as end:
            report: RewardReport = end.value
            return report


@pytest.fixture(scope="module")
def trained(features: Features, models: Path) -> tuple[RewardReport, Path]:
    return train(dataset(), features, models / "reward"), models / "reward"


def test_it_learns_the_rule_and_says_so(trained: tuple[RewardReport, Path]) -> None:
    report, _ = trained
    # Of the pairs with a winner, carol turns those of every third task around: 2/3 + 1/3 · 2/3 = 8/9
    # are as the rule has it; one pair in three is a tie, worth one half: 2/3 · 8/9 + 1/3 · 1/2 = 0.76.
    assert report.accuracy is not None and report.accuracy.value == pytest.approx(0.76, abs=0.03)
    assert report.accuracy.low > 0.6
    assert report.left_out_annotators is not None and report.left_out_annotators.value > 0.7
    assert (report.train_tasks, report.held_out_tasks) == (16, 8)
    assert (report.train_pairs, report.held_out_pairs) == (16 * 9, 8 * 9)
    assert report.simulated_share == 0.5
    assert report.annotators[0].annotator == "carol"


def test_it_tries_as_many_examples_as_it_was_told_also_when_loaded(
    features: Features, trained: tuple[RewardReport, Path], models: Path, tmp_path: Path
) -> None:
    """The default is not named in the features' identity: older checkpoints and kept features stay good."""
    data = dataset_with_examples()
    config = dataclasses.replace(CONFIG, tried_examples=2, execution_weight=30.0)
    train(data, features, tmp_path / "two", config)
    model = RewardModel.load(tmp_path / "two", models)
    assert model.features.tried == 2 and model.features.identity["tried"] == 2
    assert RewardModel.load(trained[1], models).features.tried == 4 and "tried" not in features.identity
    fewer, as_many = (dataclasses.replace(data.tasks["0"], examples=SHOWN[:n]) for n in (1, 2))
    scores = [model.score([(task, GOOD[0])])[0] for task in (fewer, as_many)]
    assert scores[0] != pytest.approx(scores[1])


def test_what_comes_of_an_instruction_can_be_heeded_more(
    features: Features, models: Path, tmp_path: Path
) -> None:
    """What its columns move beside all others grows, though the penalty is the same."""
    data = dataset_with_examples()
    ratios = []
    for weight in (1.0, 30.0):
        folder = tmp_path / str(weight)
        train(data, features, folder, dataclasses.replace(CONFIG, execution_weight=weight, l2=1e4))
        model = RewardModel.load(folder, models)
        part = model.features.groups["execution"]
        raw = model.heads.weights / model.heads.scale  # what a unit of each column moves
        by_it = np.abs(raw[:, part]).sum()
        ratios.append(by_it / (np.abs(raw).sum() - by_it))
    assert ratios[1] > 20 * ratios[0]


def test_the_human_ceiling_is_how_annotators_agree(trained: tuple[RewardReport, Path]) -> None:
    report, _ = trained
    # bob and dan always agree where there is a winner; carol agrees with each on two tasks of three.
    # Winners: (1 + 2/3 + 2/3) / 3 = 7/9; ties one half: 2/3 · 7/9 + 1/3 · 1/2.
    assert report.human_ceiling is not None
    assert report.human_ceiling.value == pytest.approx(2 / 3 * 7 / 9 + 1 / 6)


def test_the_baselines_see_the_same_pairs(trained: tuple[RewardReport, Path]) -> None:
    report, _ = trained
    assert report.tfidf is not None and report.tfidf.value == pytest.approx(0.76, abs=0.03)  # "write" tells
    assert report.longer is not None and report.longer.value < 0.7
    assert report.ece is not None and report.ece < 0.25
    assert sum(bar.count for bar in report.bins) == report.held_out_pairs


def test_it_says_where_it_is_right_and_which_judgments_it_contradicts(
    trained: tuple[RewardReport, Path],
) -> None:
    report, _ = trained
    domains = [found for found in report.slices if found.by == "domain"]
    assert [(found.name, found.pairs) for found in domains] == [("general", report.held_out_pairs)]
    assert report.accuracy is not None
    assert domains[0].accuracy.value == pytest.approx(report.accuracy.value)
    # carol turns those of every third task around: of the held-out ones, numbers 0, 3 and 6
    assert {found.judgment_id for found in report.contradicted[:3]} == {"0carol", "3carol", "6carol"}
    margins = [found.margin for found in report.contradicted]
    assert margins == sorted(margins, reverse=True)
    assert report.previous is None


def test_records_show_the_progress(features: Features, tmp_path: Path) -> None:
    records = list(
        fit(CONFIG, dataset=dataset(tasks=10, held_out=3), features=features, folder=tmp_path / "r")
    )
    assert all(isinstance(record, Record) for record in records)
    assert records[0].step == 0 and records[0].values["encoded"] == records[0].values["to_encode"]
    assert [record.step for record in records[1:]] == [5, 10, 15, 20]
    assert {record.total for record in records} == {20}
    assert set(records[-1].values) == {"loss", "accuracy_train", "accuracy_held_out"}
    assert records[-1].values["loss"] < records[1].values["loss"] + 1e-6
    json.dumps([dataclasses.asdict(record) for record in records])


def test_a_saved_model_scores_as_before(
    trained: tuple[RewardReport, Path], features: Features, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = trained
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    data = dataset()
    items = [(task, text) for task in data.tasks.values() if not task.held_out for text in (GOOD[0], BAD[0])]
    model = RewardModel.load(folder, models)
    mean, std = model.score(items)
    assert (mean[::2] > mean[1::2]).all()  # each good one above each bad one
    assert (std > 0).all()
    reversed_mean, reversed_std = RewardModel.load(folder, models, models / "features.sqlite").score(
        items[::-1]
    )
    np.testing.assert_allclose(reversed_mean[::-1], mean, atol=1e-4)
    np.testing.assert_allclose(reversed_std[::-1], std, atol=1e-4)
    assert model.head_scores(items).shape == (len(items), 3)


def test_training_completions_have_mean_0_and_spread_1(
    trained: tuple[RewardReport, Path], features: Features, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    data = dataset()
    items = sorted({(j.task_id, text) for j in data.judgments_on(held_out=False) for text in j.completions})
    mean, _ = RewardModel.load(trained[1], models).score([(data.tasks[t], text) for t, text in items])
    assert mean.mean() == pytest.approx(0.0, abs=1e-4)
    within = mean.reshape(16, 3) - mean.reshape(16, 3).mean(1, keepdims=True)
    assert within.std() == pytest.approx(1.0, abs=1e-3)


def test_a_pairs_probability_is_the_scores_at_the_models_temperature(
    trained: tuple[RewardReport, Path], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    model = RewardModel.load(trained[1], models)
    task = Task("new", "Task number 99")
    first, second = [(task, GOOD[0])], [(task, BAD[0])]
    (chance,) = model.probability(first, second)
    margin = float(model.score(first)[0][0] - model.score(second)[0][0])
    assert chance == pytest.approx(1 / (1 + np.exp(-margin / trained[0].temperature)))
    assert chance + model.probability(second, first)[0] == pytest.approx(1)
    assert model.good_enough(first) is None  # nobody was asked


def test_all_bad_sets_a_bar_and_an_own_text_stands_above_it(
    features: Features, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotators find comparisons of two bad ones all bad, and write a good one."""
    named = {f"{n}": Task(id=f"{n}", text=f"Task number {n}", held_out=n < 6) for n in range(30)}
    judgments = []
    for n in range(30):
        bad = (BAD[n % 3], BAD[(n + 1) % 3])
        judgments.append(Judgment(f"{n}a", f"{n}", "bob", bad, (1, 1), all_bad=True, improved=GOOD[n % 3]))
        judgments.append(Judgment(f"{n}b", f"{n}", "bob", (GOOD[n % 3], BAD[n % 3]), (1, 2)))
    report = train(Dataset(named, tuple(judgments)), features, tmp_path / "barred")
    assert report.accuracy is not None and report.accuracy.value > 0.9
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    model = RewardModel.load(tmp_path / "barred", models)
    task = Task("new", "Task number 99")
    found = model.good_enough([(task, text) for text in (*GOOD, *BAD)])
    assert found is not None
    assert found[:3].min() > found[3:].max()
    assert found[:3].mean() > 0.5 > found[3:].mean()


@pytest.mark.parametrize("way", [{"rankings": "plackett_luce"}, {"ties": "half"}, {"strength": "ignored"}])
def test_each_way_to_read_judgments_learns_the_rule(
    way: dict[str, str], features: Features, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, **way)
    report = train(dataset(), features, tmp_path / "reward", config)
    assert report.accuracy is not None and report.accuracy.value > 0.7


def test_another_template_or_other_weights_are_refused(
    trained: tuple[RewardReport, Path], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = backbones.load_causal
    for name in ("template_hash", "weights_hash"):
        with monkeypatch.context() as patch:
            patch.setattr(
                "rlhf.lm.reward_model.load_causal",
                lambda *a, name=name: dataclasses.replace(load(*a), **{name: "0" * 64}),
            )
            with pytest.raises(BadCheckpoint, match=f"other features .*{name}.*train it again"):
                RewardModel.load(trained[1], models)


def test_another_kind_and_a_missing_backbone_are_refused(
    trained: tuple[RewardReport, Path], models: Path, tmp_path: Path
) -> None:
    with new_folder(tmp_path / "policy") as aside:
        write_manifest(aside, kind="policy")
    with pytest.raises(WrongKind, match="policy checkpoint; a reward checkpoint is needed"):
        RewardModel.load(tmp_path / "policy", models)
    manifest = json.loads((trained[1] / "manifest.json").read_text())
    manifest["features"]["backbone"] = str(tmp_path / "gone")
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadCheckpoint, match="is not there"):
        RewardModel.load(tmp_path / "moved", models)


def test_the_report_lies_beside_the_checkpoint(trained: tuple[RewardReport, Path]) -> None:
    report, folder = trained
    read = read_report(folder)
    assert read == json.loads(json.dumps(report.to_json()))
    assert set(read["accuracy"]) == {"value", "low", "high"}


def test_without_held_out_rankings_it_trains_and_says_what_it_cannot_say(
    features: Features, tmp_path: Path
) -> None:
    report = train(dataset(tasks=6, held_out=0), features, tmp_path / "reward")
    assert (report.accuracy, report.longer, report.tfidf, report.ece, report.bins) == (
        None,
        None,
        None,
        None,
        (),
    )
    assert report.human_ceiling is not None


def test_length_is_a_covariate_only_where_it_is_asked_for(features: Features, tmp_path: Path) -> None:
    """Longer completions win; the words are shuffled, so that the frozen features hardly tell."""
    rng = np.random.default_rng(0)
    tasks = {str(n): Task(id=str(n), text=f"Task {n}", held_out=n < 15) for n in range(45)}
    judgments = []
    for n in range(45):
        short, long = ("".join(rng.choice(list("abcdefgh "), size=size)) for size in (20, 24))
        judgments.append(Judgment(str(n), str(n), "bob", (short, long), (2, 1)))
    data = Dataset(tasks, tuple(judgments))
    config = dataclasses.replace(CONFIG, l2=10000.0)
    blind = train(data, features, tmp_path / "blind", config)
    sighted = train(data, features, tmp_path / "sighted", dataclasses.replace(config, length="given"))
    assert blind.accuracy is not None and sighted.accuracy is not None
    assert sighted.accuracy.value == 1.0 > blind.accuracy.value
    assert sighted.length_correlation > max(blind.length_correlation, 0.9)


def test_balanced_pairs_teach_less_of_length(features: Features, tmp_path: Path) -> None:
    """The longer completion wins three times of four, whatever it says."""
    tasks = {str(n): Task(id=str(n), text=f"Task {n}", held_out=n < 20) for n in range(60)}
    judgments = [
        Judgment(str(n), str(n), "bob", ("list " * (2 + n % 4), "word " * 12), (2, 1) if n % 4 else (1, 2))
        for n in range(60)
    ]
    data = Dataset(tasks, tuple(judgments))
    found = {
        length: train(data, features, tmp_path / length, dataclasses.replace(CONFIG, length=length))
        for length in ("as_is", "balanced")
    }
    assert found["balanced"].length_correlation < found["as_is"].length_correlation - 0.1
    whole = dataclasses.replace(CONFIG, length="balanced", rankings="plackett_luce")
    with pytest.raises(ValueError, match="rankings must be read as pairs"):
        train(data, features, tmp_path / "whole", whole)


def test_length_can_be_taken_out_of_a_model_that_is_saved(
    features: Features, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over its training completions the scores have nothing left that a cubic in log-length explains."""
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    config = dataclasses.replace(CONFIG, length="removed", inputs="max, text")
    data = dataset()
    train(data, features, tmp_path / "removed", config)
    model = RewardModel.load(tmp_path / "removed", models)
    assert model.features.names == ("max", "text")
    judged = data.judgments_on(held_out=False)
    items = list(dict.fromkeys((data.tasks[j.task_id], text) for j in judged for text in j.completions))
    scores = model.score(items)[0]
    design = np.c_[length_powers(lengths_of(items)), np.ones(len(items))]
    explained = design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    np.testing.assert_allclose(explained, 0, atol=1e-4)
    assert scores.std() > 0.5


def test_a_model_saved_when_length_was_a_switch_still_loads(
    trained: tuple[RewardReport, Path], models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "best_dtype", lambda: torch.float32)
    shutil.copytree(trained[1], tmp_path / "old")
    manifest = json.loads((tmp_path / "old" / "manifest.json").read_text())
    del manifest["config"]["length"]
    manifest["config"]["use_length"] = False
    (tmp_path / "old" / "manifest.json").write_text(json.dumps(manifest))
    items = [(Task("1", "t"), "Write a word.")]
    old, new = (RewardModel.load(folder, models) for folder in (tmp_path / "old", trained[1]))
    np.testing.assert_array_equal(old.score(items), new.score(items))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset({"1": Task("1", "t")}), "no rankings yet"),
        (
            Dataset({"1": Task("1", "t", held_out=True)}, (Judgment("1", "1", "bob", ("a", "b"), (1, 2)),)),
            "all ranked tasks are held out",
        ),
        (Dataset({"1": Task("1", "t")}, (Judgment("1", "1", "bob", ("a", "b"), (1, 1)),)), "ties alone"),
        (Dataset({"1": Task("1", "t")}, (Judgment("1", "1", "bob", ("a", "a"), (1, 2)),)), "two different"),
    ],
)
def test_data_without_a_lesson_are_refused(
    data: Dataset, message: str, features: Features, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        train(data, features, tmp_path / "reward")
    assert not (tmp_path / "reward").exists()
