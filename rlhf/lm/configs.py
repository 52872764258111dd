"""The settings of every stage: flat frozen dataclasses, a sentence under each field. No torch.

A config is stored with its run and saved beside its checkpoint, so each field is plain JSON.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingConfig:
    """How completions are written."""

    completions_per_task: int = 4
    best_of: int = 1
    """Candidates written for each completion that is kept: the ones kept are those that the reward model
    scores highest. 1 keeps all."""
    pessimism: float = 1.0
    """That score is mean - pessimism * std over the reward model's heads. Between 0 and 2 it hardly matters
    which (docs/LOG.md)."""
    temperature: float = 0.8
    """At 1 without a cut the embedded model writes noise."""
    top_p: float = 0.95
    max_new_tokens: int = 48
    batch_size: int = 64
    """Sequences decoded together."""
    seed: int = 0


@dataclass(frozen=True)
class RewardConfig:
    """A reward model on frozen features: an ensemble of linear heads, refitted from all judgments."""

    heads: int = 5
    """Heads of the ensemble; their spread is the model's own doubt."""
    l2: float = 10000.0
    """Strength of the L2 penalty on standardised features (docs/LOG.md: unseen tasks ask for this much)."""
    steps: int = 60
    """L-BFGS iterations; one record is yielded after every five."""
    ties: str = "davidson"
    """How ties are read where strength says nothing: Davidson's model, or half of each side."""
    strength: str = "graded"
    """How "slightly, better, much" is read: as grades, as a margin (Llama-2), or ignored."""
    rankings: str = "pairs"
    """How rankings of three and more are read: all their pairs, or as wholes (plackett_luce)."""
    inputs: str = ""
    """Names from rlhf/lm/inputs.py with commas between; "" is its DEFAULT, as far as the models give it."""
    tried_examples: int = 4
    """On how many of its task's shown examples an instruction is tried (the input `execution`)."""
    execution_weight: float = 1.0
    """How many times as far as others under the same penalty what comes of that moves a score. To choose
    among texts of one task, 30 with 12 examples and an L2 penalty of 1e6 are far better (docs/methods.md)."""
    length: str = "as_is"
    """"as_is": what the inputs hold of it; "given": log-length is a covariate; "balanced": pairs are weighed
    so that the longer one wins half of the time, in each third of them by the ratio of lengths; "removed":
    what a cubic in log-length says is taken out."""
    batch_size: int = 32
    """Completions encoded together."""
    bootstrap: int = 1000
    """Resamples (by task) behind the accuracy's interval."""
    seed: int = 0


RLOO, GRPO, DR_GRPO, PPO = "rloo", "grpo", "dr_grpo", "ppo"
ALGORITHMS = (RLOO, GRPO, DR_GRPO, PPO)
"""Those that need a reward model."""
SFT, DPO, ILQL = "sft", "dpo", "ilql"


@dataclass(frozen=True)
class PolicyConfig:
    """A policy gradient on LoRA adapters against a reward model."""

    algorithm: str = RLOO
    """"rloo" (a completion is one action), "grpo" or "dr_grpo" (each token is one): group_learner.py."""
    steps: int = 16
    prompts_per_step: int = 8
    completions_per_prompt: int = 6
    max_new_tokens: int = 40
    temperature: float = 1.0
    """Rollouts are sampled from the policy itself: no cut, so that their probabilities are true."""
    learning_rate: float = 4e-4
    """In 16 steps what 2e-4 does in 32 (docs/LOG.md)."""
    kl_coef: float = 0.03
    """Weight of the KL penalty to the reference. RLOO and PPO take it off the reward, for each nat of a
    completion; GRPO adds it to the loss, for each nat of a token."""
    kl_budget: float = 8.0
    """Mean nats a completion; the run stops before it goes further away than this."""
    length_drift: float = 3.0
    """The run stops when completions become this many times longer or shorter than at its start,"""
    entropy_floor: float = 0.2
    """when entropy falls below this part of what it was,"""
    disagreement: float = 3.0
    """when the reward model's heads differ by this many times as much,"""
    repetition: float = 0.3
    """or when so much more of a completion repeats itself."""
    epochs: int = 1
    """Updates on the same rollouts; from the second on, `clip_coef` bounds how far they go."""
    clip_coef: float = 0.2
    max_grad_norm: float = 1.0
    lora_r: int = 8
    lora_alpha: int = 16
    pessimism: float = 0.5
    """Reward = mean - pessimism * std over the reward model's heads."""
    copy_penalty: float = 2.0
    """Taken off the score of a text that copies the instruction which the prompt shows as an example."""
    save_every: int = 1
    """Steps between checkpoints that a killed run resumes from."""
    sample_tasks: int = 4
    """Tasks whose samples are shown on the run page."""
    sample_every: int = 4
    """Steps between two such samples; the first and the last step always have them."""
    gold_every: int = 0
    """Steps between two measurements of the gold metric on held-out tasks (gold_along.py). 0: none."""
    seed: int = 0


@dataclass(frozen=True)
class PpoConfig(PolicyConfig):
    """PPO: each token is an action, judged against what a value head expected."""

    algorithm: str = PPO
    epochs: int = 4
    learning_rate: float = 1e-4
    gamma: float = 1.0
    """Discount a token: 1, since a completion's reward comes at its end and a longer one owes nothing."""
    gae_lambda: float = 0.95
    """Between one step of the value head (0) and the whole completion's outcome (1)."""
    whiten: bool = True
    """Bring advantages to mean 0 and variance 1 over the tokens of a step."""
    value_learning_rate: float = 1e-3
    value_coef: float = 0.1
    """Weight of the value loss."""
    value_clip: float = 0.2
    """How far a value may go in one step from what it was before the value loss stops pulling."""
    shared_trunk: bool = False
    """Let the value loss train the adapters too. Otherwise they learn from the reward alone."""


@dataclass(frozen=True)
class OfflineConfig:
    """What SFT and DPO have in common: LoRA adapters, learned from texts that are there already."""

    epochs: int = 3
    groups_per_step: int = 8
    """Tasks an update; all texts of a task are learned from together."""
    learning_rate: float = 1e-4
    warmup_steps: int = 5
    """Updates over which the learning rate rises."""
    max_grad_norm: float = 1.0
    lora_r: int = 8
    lora_alpha: int = 16
    max_new_tokens: int = 40
    """Of the samples on the run's page."""
    sample_tasks: int = 4
    sample_every: int = 8
    gold_every: int = 0
    """As in PolicyConfig."""
    save_every: int = 4
    seed: int = 0


@dataclass(frozen=True)
class SftConfig(OfflineConfig):
    """Supervised fine-tuning on good instructions."""

    algorithm: str = SFT
    written: bool = True
    """Learn from the instructions that came with the tasks."""
    ranked: bool = True
    """Learn from those that people wrote while ranking, or put first."""


@dataclass(frozen=True)
class DpoConfig(OfflineConfig):
    """Direct preference optimisation on rankings."""

    algorithm: str = DPO
    epochs: int = 4
    """After two it has hardly moved (docs/LOG.md)."""
    learning_rate: float = 3e-4
    """At 1e-4 nothing happens, at 1e-3 it falls apart (docs/LOG.md)."""
    loss: str = "sigmoid"
    """"sigmoid" (DPO) or "ipo"."""
    beta: float = 0.1
    """How much a lead of one nat over the reference counts; the smaller, the further it goes."""
    sft_weight: float = 0.0
    """Of the preferred texts' likelihood, added so that it does not fall along with the others'."""


@dataclass(frozen=True)
class IlqlConfig:
    """Implicit language Q-learning: Q and V heads on the frozen policy, which then decodes by them."""

    algorithm: str = ILQL
    rewards: str = "model"
    """"model": texts are sampled and scored, pessimistically, by the reward model; "rankings": how often
    people put a text above the others that they saw with it."""
    samples_per_task: int = 8
    """Texts sampled for each task to learn from, beside those that were ranked."""
    temperature: float = 1.0
    top_p: float = 0.95
    """Of those samples: Q-learning may learn from texts that are not the policy's own."""
    max_new_tokens: int = 40
    pessimism: float = 4.0
    """Reward = mean - pessimism * std over the reward model's heads. What they agree on carries over to other
    tasks (docs/LOG.md): to learn from takes more of it than to choose by."""
    copy_penalty: float = 2.0
    """Taken off the score of a text that copies the instruction which the prompt shows as an example."""
    epochs: int = 12
    """On tasks left aside the heads fit best after about seven (docs/LOG.md); the best epoch is kept."""
    texts_per_step: int = 48
    learning_rate: float = 3e-4
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    width: int = 576
    """Of the heads' hidden layer."""
    gamma: float = 1.0
    """Discount of a token; texts are short."""
    td_lambda: float = 0.9
    """0: a token learns from the value of the next state alone, as in the paper; 1: from the text's end."""
    tau: float = 0.7
    """The expectile that V is of Q: 0.5 the mean of the actions seen, near 1 the best of them."""
    cql_weight: float = 0.01
    """Of the term that keeps Q low where there are no data."""
    cql_states: int = 128
    """States an update, drawn at random, in which that term looks at the whole vocabulary."""
    polyak: float = 0.05
    """The part of the way that the slow copies of Q go at each update."""
    check_tasks: int = 12
    """Training tasks left aside: on them the best epoch and β are chosen. At most a fourth of all."""
    check_samples: int = 8
    """Texts of each of them at each β."""
    beta: float = 8.0
    """The largest weight of Q in decoding that is tried, after its half, quarter …; the best is kept. At 16
    gold on tasks left aside was no better, at twice the KL (docs/LOG.md)."""
    beta_trials: int = 4
    kl_budget: float = 8.0
    """Mean nats a completion; no β is kept that goes further, or that passes one of these limits:"""
    length_drift: float = 3.0
    """completions so many times longer or shorter than without Q,"""
    entropy_floor: float = 0.2
    """entropy below this part of what it was,"""
    disagreement: float = 3.0
    """the reward model's heads so many times further apart,"""
    repetition: float = 0.3
    """so much more of a completion repeating itself."""
    save_every: int = 2
    """Epochs between checkpoints that a killed run resumes from."""
    sample_tasks: int = 4
    seed: int = 0


POLICY_CONFIGS: dict[str, type[PolicyConfig | SftConfig | DpoConfig | IlqlConfig]] = {
    **dict.fromkeys(ALGORITHMS, PolicyConfig),
    PPO: PpoConfig,
    DPO: DpoConfig,
    SFT: SftConfig,
    ILQL: IlqlConfig,
}
"""By the name of the algorithm, what a policy run is told."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Old against new on held-out tasks."""

    completions_per_task: int = 4
    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 48
    gold_examples: int = 6
    """Held-out examples an instruction is judged on."""
    gold_contrast: int = 3
    """Outputs of other inputs that the right one is compared with."""
    bootstrap: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class LoraRewardConfig:
    """A reward model whose backbone is trained too, on judged rankings."""

    backbone: str = "smollm2"
    """An embedded model, a folder or a name that `backbones` knows: causal model or BERT-like encoder."""
    training: str = "lora"
    """"lora" (adapters on all linear layers) or "full"."""
    lora_r: int = 8
    lora_alpha: int = 16
    layers: int = 0
    """Read only so many of the lower layers: the middle may tell more than the end (docs/LOG.md). 0: all."""
    top_layers: int = 0
    """Train only so many of the upper of those; what comes below is computed once and kept. 0: all layers."""
    cache_megabytes: int = 4000
    """How much of what the lower layers give may be kept in memory."""
    pooling: str = ""
    """What the head reads: "last", "mean", "max", two of them with a plus between, or "pooler"; "" is
    mean+last of a causal model's completion and the mean of an encoder."""
    completion_tokens: int = 160
    """Where it stops reading a completion."""
    wording: str = "generator"
    """How a causal model is shown a task: "generator" asks for an instruction as generation does, "chat"
    gives the task's text alone as a user's turn and has the completion answer it."""
    probe_l2: float = 0.0
    """Above 0: standardise what the head reads and fit the head to it with this L2 before anything is
    trained (Kumar et al. 2022, arXiv 2202.10054). 0: a small random head."""
    epochs: int = 2
    comparisons_per_step: int = 8
    learning_rate: float = 2e-4
    head_learning_rate: float = 0.0
    """0: the same."""
    warmup_steps: int = 5
    """Steps in which the learning rate rises; it then falls to zero in a straight line."""
    max_grad_norm: float = 1.0
    centring: float = 0.01
    """Weight of the mean squared score (Eisenstein et al. 2023): only differences are learned otherwise."""
    strength_margin: float = 0.0
    """The lead that each level of strength asks of the better one, 1 slightly to 3 much (Llama-2)."""
    learn_reliability: bool = True
    """Learn how often each annotator says what they mean; without it everybody always does."""
    reliability_learning_rate: float = 0.02
    standardise: bool = True
    """At the end, make the scores' mean 0 and their spread within a task 1."""
    precision: str = "auto"
    """"bfloat16", "float32", or "auto": bfloat16 where the processor multiplies it natively."""
    batch_tokens: int = 4096
    """Tokens encoded together, with their padding."""
    chunk_tokens: int = 8192
    """Tokens whose activations are held for one backward pass."""
    save_every: int = 10
    """Steps between checkpoints that a killed run resumes from."""
    seed: int = 0
