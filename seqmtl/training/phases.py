"""Epochs that go through the tasks one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqmtl.data.tasks import Task
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.successive import SuccessiveRegularisation
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import JMTSpec, SuccessiveRegularisationSpec


def tasks_in_turn(recipe: RecipeSpec, tasks: Sequence[Task]) -> list[Task]:
    """The tasks in the order in which an epoch goes through them; none when they learn together."""
    if recipe.mixture.schedule == "interleaved":
        return []
    by_name = {task.name: task for task in tasks}
    order = recipe.sharing.order if isinstance(recipe.sharing, JMTSpec) else None
    return [by_name[name] for name in order or by_name]


class Phases:
    """Holds each task near what the task before has learned in this epoch (Hashimoto et al. 2017, section 3).

    ``theta_(n-1)`` is all that the task before uses. In an epoch's first phase, where no task was before, it is
    ``theta_e``, the embedding parameters as the last task of the epoch before left them: here those of the encoder,
    from which a joint many-task model has its words. The first phase of a run has no term.
    """

    def __init__(self, model: SeqMTLModel, spec: SuccessiveRegularisationSpec) -> None:
        """Hold ``model`` as ``spec`` says."""
        self.model = model
        self.regularisation = SuccessiveRegularisation(delta=spec.delta, classifier_delta=spec.classifier_delta)
        self._latest: tuple[int, str] | None = None  # epoch and task

    def add_gradient(self, epoch: int, task: str) -> None:
        """Add the gradient of the term, once per step of ``task``, before the optimiser takes it.

        Every process has the same parameters, so each adds the same without asking the others.
        """
        if self._latest is not None and self._latest != (epoch, task):
            self._anchor(*self._latest, epoch=epoch)
        self._latest = (epoch, task)
        term = self.regularisation.term()
        if term is not None:
            term.backward()

    def state_dict(self) -> dict[str, Any]:
        """Whose turn it is, and where parameters are held, by their names."""
        names = {p: name for name, p in self.model.named_parameters()}
        anchors = {names[p]: anchor for p, anchor in self.regularisation.anchors().items()}
        return {"latest": self._latest, "anchors": anchors}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self._latest = None if state["latest"] is None else tuple(state["latest"])
        anchors = {self.model.get_parameter(name): anchor for name, anchor in state["anchors"].items()}
        self.regularisation.anchor_at(anchors, classifiers=self.model.heads.parameters())

    def _anchor(self, epoch_before: int, task_before: str, *, epoch: int) -> None:
        """The phase before is over, and nothing has moved since."""
        model = self.model
        used = model.serving_parameters([task_before]) if epoch == epoch_before else model.encoder.parameters()
        self.regularisation.anchor(used, classifiers=model.heads.parameters())


def build_phases(recipe: RecipeSpec, model: SeqMTLModel) -> Phases | None:
    """What holds the tasks near each other; None unless the recipe asks for it."""
    spec = recipe.sharing.successive_regularisation if isinstance(recipe.sharing, JMTSpec) else None
    return None if spec is None else Phases(model, spec)
