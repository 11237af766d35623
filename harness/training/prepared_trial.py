"""A trial's model taken over, with its step, engine and learning rate: all that its loop needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.config.optimizers import OwnOptimizer
from harness.config.suite import Trial
from harness.results.record import EngineName
from harness.training.augment.augmenter import Augmenter
from harness.training.batch_shard import BatchShard
from harness.training.dataloader import ResidentDataset, Share
from harness.training.distributed import ProcessGroup
from harness.training.engine import Engine
from harness.training.engine_choice import engine_for
from harness.training.layers import Takeover
from harness.training.losses import Criterion
from harness.training.lr_schedule import LearningRate
from harness.training.model_facts import ModelFacts, facts_of, initialised
from harness.training.optim import optimizer_for
from harness.training.precision import PRECISIONS, cast
from harness.training.rng import derive, seed_globally
from harness.training.step import Step
from harness.training.trainer_state import TrainerState
from harness.training.weight_average import WeightAverage
from harness.training.weight_casts import WeightCasts, castable


@dataclass
class PreparedTrial:
    """A trial's state with its step, engine and learning rate; its layers are those of the global batch."""

    state: TrainerState
    step: Step
    engine: Engine
    lr: LearningRate
    steps_per_epoch: int
    replaced_layers: dict[str, int]
    facts: ModelFacts
    may_draw: bool
    parameters: int = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = sum(each.numel() for each in self.state.model.parameters() if each.requires_grad)

    def seed_draws(self, *counters: int | str) -> None:
        """Seed what a model that is allowed to may draw from, by trial, rank and place in the trial.

        So a resumed trial goes on with the same draws, whichever trials have taken turns with it.
        """
        if self.may_draw:
            shard = self.step.shard
            seed_globally(derive(shard.seed, "draws", shard.world.rank, *counters))


def prepare(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    engine: EngineName | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> PreparedTrial:
    """Build the trial's model, replace its layers by those of the global batch, and build step and engine."""
    settings, training = trial.settings, trial.settings.training
    outputs = training.loss.outputs(data.num_classes)
    plain = initialised(settings.model, trial.seed, data.image_shape, outputs)
    facts = facts_of(settings, data.image_shape, outputs)
    takeover = Takeover(plain)
    cast(plain, PRECISIONS[training.precision].dtype)
    plain.to(world.device)
    state = TrainerState(
        plain,
        optimizer_for(training, plain, has_sparse=facts.has_sparse),
        WeightAverage.of(training, plain),
    )
    step = _step(trial, data, world, state, takeover, facts)
    steps_per_epoch = data.train.batches(training.batch_size)
    return PreparedTrial(
        state,
        step,
        engine_for(
            step,
            engine,
            tell,
            full_batch=min(training.batch_size, len(data.train)),
            has_unused=facts.has_unused,
            is_own_optimizer=isinstance(training.optimizer, OwnOptimizer),
            may_draw=training.allow_rank_dependent,
        ),
        LearningRate(training, state.optimizer, steps_per_epoch),
        steps_per_epoch,
        takeover.replaced_layers,
        facts,
        may_draw=training.allow_rank_dependent,
    )


def _settle(step: Step, share: Share) -> None:
    """Have DDP lay gradients out, which it does anew after the first passes of a process.

    The layout decides the order of sums: a trial that resumes in another process must not take a step in the
    first layout again.
    """
    for _ in range(2):
        step.rehearse(step.parts(share)[0])


def _step(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    state: TrainerState,
    takeover: Takeover,
    facts: ModelFacts,
) -> Step:
    training, precision = trial.settings.training, PRECISIONS[trial.settings.training.precision]
    casts = WeightCasts(state.model, _cast_together(trial, data, world), precision.activations)
    step = Step(
        world.wrap(state.model, find_unused_parameters=facts.has_unused),
        state.optimizer,
        data,
        precision,
        Criterion.of(training.loss, data.train.labels, data.num_classes, precision.dtype),
        Augmenter(training.augment, trial.seed, len(data.train), training.batch_size, world.device),
        BatchShard(world, trial.seed, expects_recomputation=facts.recomputes),
        takeover,
        casts,
        state.average,
        training.clip_grad_norm,
        training.accumulate,
    )
    if world.world_size > 1:
        _settle(step, next(data.train.train_shares(trial.seed, 1, training.batch_size, world)))
    return step


def _cast_together(trial: Trial, data: ResidentDataset, world: ProcessGroup) -> frozenset[str]:
    """Name the weights that are cast together; none where DDP waits for the gradients of the weights."""
    settings = trial.settings
    if world.world_size > 1:
        return frozenset()
    outputs = settings.training.loss.outputs(data.num_classes)
    return castable(settings.model, settings.training.precision, data.image_shape, outputs, world.device)
