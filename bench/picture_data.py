"""A throw-away project for pictures: tasks, instructions by two policies, people who judged."""

from __future__ import annotations

import itertools
import random
from typing import Any

from annotator.models import Completion, Guideline, Membership, Project, Prompt, ResponseFormat, Role, User
from annotator.ranking import queue
from annotator.ranking.submit import Judgment, submit

PASSWORD = "for pictures only"
SLUG = "support"

GUIDELINES = """\
Prefer the instruction with which **somebody who has never seen the task** would get the most inputs right.

1. It says *what to write*, not only what the text is about.
2. It fixes the form of the answer: one word, a number, a sentence.
3. It holds for inputs that are not among the examples.

An instruction that only repeats an example is bad, however well it reads. When two differ only in
wording, they are *about the same*.
"""

TASKS = [
    (
        "A customer received a damaged item and wants to return it. The support team has to answer within "
        "the shop's rules: 30 days, original packaging, a photo of the damage.",
        "customer-service",
        [
            ("The vase arrived in pieces, what now?", "Ask for a photo, offer a free return label."),
            ("Bought it 5 weeks ago, the handle broke.", "Explain the 30 days, offer a repair."),
            (
                "The box is gone. Can I still send it back?",
                "Ask for a photo, accept with other packaging.",
            ),
        ],
        [
            "Read the customer's message and decide, by the shop's rules, whether the item can be returned. "
            "If it can, thank the customer, ask for a photo of the damage, and say that a free return label "
            "follows by e-mail. If more than 30 days have passed, explain the rule kindly and offer a repair "
            "instead. Answer in two or three plain sentences, and do not promise a refund before the photo "
            "has been seen.",
            "You are a helpful assistant for a shop. Help the customer with the return. Be polite and "
            "friendly, apologise for the trouble, and make sure that the customer is happy with the answer. "
            "Returns are possible. Mention that the team will look into it as soon as possible, that the "
            "customer's satisfaction is our first aim, and that further questions are always welcome.",
            "State the next step for the customer in one sentence: photo, return label, or repair.",
            "Write an answer to the customer about the damaged item.",
        ],
    ),
    (
        "Commit messages of a web project are sorted into release notes.",
        "code",
        [
            ("Add dark mode to the settings page", "feature"),
            ("Fix crash when the cart is empty", "fix"),
            ("Bump lodash from 4.17.20 to 4.17.21", "dependency"),
        ],
        [
            "Label the commit message with exactly one word: feature, fix, dependency, docs or other.",
            "Say what kind of change the commit makes.",
            "Summarise the commit message in the past tense, as it would stand in a changelog.",
            "If the message begins with “Fix”, answer fix; with “Bump”, dependency; otherwise feature.",
        ],
    ),
    (
        "Long product descriptions have to become a line for a small screen.",
        "writing",
        [
            (
                "This hand-made oak chair with its woven seat is made to last for generations.",
                "Oak chair, woven seat, made to last",
            ),
            ("Our kettle boils a litre of water in under two minutes.", "Boils a litre in 2 minutes"),
        ],
        [
            "Shorten the description to at most seven words. Keep the material, the number or the use that "
            "sets the product apart; leave out praise.",
            "Rewrite the text so that it is shorter.",
            "Give the product a catchy slogan.",
            "Answer with the most important noun of the description.",
        ],
    ),
    (
        "Two agents plan a trip; the second one has to say what the first has forgotten.",
        "multi-agent",
        [("Plan: flight on Monday, museum on Tuesday.", "There is no place to sleep.")],
        [
            "Compare the plan with what a trip needs (way there and back, a bed, food, tickets) and name the "
            "first thing that is missing, in one sentence.",
            "Check the plan and say whether it is good.",
            "Name one thing that is missing from the plan.",
            "Rewrite the plan so that nothing is missing.",
        ],
    ),
    (
        "网店客服后台一早涌进几十条留言，值班组长要把它们分到不同的小组去处理。",
        "customer-service",
        [
            ("快递三天没更新了，东西到底在哪", "物流"),
            ("退回去的鞋子你们都签收了，钱怎么还没到", "退款"),
            ("公司报销要用，抬头能改成单位名称吗", "发票"),
        ],
        [
            "判断这条留言该由哪个小组处理，只回答一个词：物流、退款、发票、账号、优惠或维修。如果留言同时提到"
            "两件事，以顾客最着急的那件为准；看不出属于哪一类时回答“其他”，不要猜测，也不要附加解释。",
            "阅读留言，写出顾客的问题是什么，并给出礼貌的回复。回复要体现我们对顾客的重视，语气要热情，"
            "让顾客感到满意，同时说明我们会尽快处理。",
            "把留言归类。",
            "如果提到快递就写“物流”，否则写“退款”。",
        ],
    ),
]


def fill() -> Project:
    """Make the people and projects of each format; the first one has judgments, and a best pair in front."""
    names = ("alice", "bob", "carol", "dana")
    people = {name: User.objects.create_user(name, password=PASSWORD) for name in names}
    people["sim-1"] = User.objects.create_user("sim-1", is_simulated=True)
    support = make_project(
        people,
        name="Support · refund tasks",
        slug=SLUG,
        description="Instructions for a support team, its code and its writing.",
        judgments_wanted=3,
        held_out_share=0.2,
    )
    Guideline.objects.create(project=support, version=3, text=GUIDELINES, created_by=people["alice"])
    prompts = [make_task(support, *task) for task in TASKS]
    for prompt in prompts[1:]:
        compare(support, prompt, k=2)
    for name, count in (("sim-1", 20), ("bob", 14), ("carol", 9)):
        _judge(support, people[name], count)
    compare(support, prompts[0], k=2, first=10.0)
    for slug, name, kind in (
        ("release-notes", "Release notes", ResponseFormat.RANKING),
        ("short-texts", "Short texts", ResponseFormat.BEST_WORST),
    ):
        other = make_project(people, name=name, slug=slug, response_format=kind, completions_per_comparison=4)
        for task in TASKS[1:4]:
            compare(other, make_task(other, *task), k=4)
    for slug, kind, k in (
        ("chinese", ResponseFormat.PAIRWISE, 2),
        ("chinese-four", ResponseFormat.RANKING, 4),
        ("chinese-best-worst", ResponseFormat.BEST_WORST, 4),
    ):
        chinese = make_project(
            people,
            name="售后 · 留言分类",
            slug=slug,
            language="zh-hans",
            judgments_wanted=3,
            response_format=kind,
            completions_per_comparison=k,
        )
        compare(chinese, make_task(chinese, *TASKS[4]), k=k, first=10.0)
    return support


def make_project(people: dict[str, User], **values: Any) -> Project:
    project = Project.objects.create(created_by=people["alice"], **values)
    roles = {"alice": Role.MANAGER, "dana": Role.RESEARCHER}
    for name, user in people.items():
        Membership.objects.create(project=project, user=user, role=roles.get(name, Role.ANNOTATOR))
    return project


def make_task(
    project: Project, text: str, domain: str, examples: list[tuple[str, str]], texts: list[str]
) -> Prompt:
    prompt = Prompt.objects.create(
        project=project,
        text=text,
        domain=domain,
        language="zh-hans" if ord(text[0]) > 0x3400 else "en",
        examples=[{"input": given, "output": wanted} for given, wanted in examples],
    )
    queue.add_completions(prompt=prompt, texts=texts, source=Completion.Source.MODEL, iteration=1)
    return prompt


def compare(project: Project, prompt: Prompt, *, k: int, first: float = 0.0) -> None:
    """Every set of k of the task's instructions; the first set with the priority `first`."""
    ids = list(prompt.completions.values_list("pk", flat=True))
    sets = list(itertools.combinations(ids, k))
    new = [queue.NewComparison(prompt.pk, one, 0.0 if place else first) for place, one in enumerate(sets)]
    queue.add_comparisons(project=project, comparisons=new, iteration=1)


def _judge(project: Project, annotator: User, count: int) -> None:
    """The annotator likes earlier texts better, with some noise."""
    dice = random.Random(annotator.username)
    for number in range(count):
        assignment = queue.claim_next(annotator=annotator, project=project)
        if assignment is None:
            return
        better, worse = sorted(assignment.order)
        if dice.random() < 0.2:
            better, worse = worse, better
        tie = dice.random() < 0.1
        submit(
            assignment=assignment,
            judgment=Judgment(
                ranks={better: 1, worse: 1 if tie else 2},
                strength=None if tie else dice.choice([1, 2, 3]),
                seconds=round(dice.uniform(6, 40), 1),
            ),
            idempotency_key=f"picture-{number}",
        )
