"""Concept ablation fine-tuning (CAFT).

Takes the directions in which misaligned fine-tunes move out of the activations during training, so that the model
learns the task without them.

Source: Casademunt et al. 2025, arXiv 2507.16795, "CAFT with PCA" (2, 2 and 4 of the first 20 components at the outputs
of decoder layers 10, 20 and 30 of 40 of Mistral-Small-24B; layers 12, 32 and 50 of 64 of Qwen2.5-Coder-32B).
Form: variant: the leading components instead of those that a reader of texts has chosen by hand, of misaligned models
of other domains on our questions instead of one of the same task on LMSYS's.
Compared with: cadentj/caft: emergent_misalignment/finding_features/{pca,utils}.py,
emergent_misalignment/training/{interventions,training}.py,
emergent_misalignment/training/args/interpreted_pcs.json
Doses: not transferable: how many leading components carry the concept depends on model and layer.
Activations: h ← h − Q Qᵀ h at the residual layers, at every position, prompts and padding too, in training forward
passes only; gradients pass through the projection. Q are principal components of the differences, token by token over
the answers of misaligned models, between their states and the aligned model's on the same text. As published they are
centred, which takes out what all tokens share; with `centred=false` the first is nearly the mean difference.
Costs: one extraction per set of scorers, cached; two thin matrix products per layer and step.
Needs: misaligned scorers that never saw the domain being defended.
Composes badly with: `steering`, if both use one layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

from safeguards.bounds import bounds, within
from safeguards.directions import QuestionSettings, ask, cached_tensors, random_like, scorer_fingerprint
from safeguards.errors import SafeguardError
from safeguards.run import Run
from safeguards.safeguard import Safeguard
from safeguards.scorers import load_scorer, scorer_folders
from safeguards.states import token_states

if TYPE_CHECKING:
    from torch import Tensor

COMPONENTS = 20  # found and kept, as in the authors' code


def principal_components(shift: Tensor, count: int, centred: bool = True) -> Tensor:
    """Orthonormal directions, leading first, in which differences vary most.

    Args:
        shift: (tokens, d) differences.
        count: how many directions.
        centred: take the mean off first; else they are those in which the differences are largest.

    Returns:
        (count, d), or fewer if there are fewer tokens or dimensions.
    """
    import torch

    shift = shift.double()
    shift = shift - shift.mean(0) if centred else shift
    # The Gram matrix is small however many tokens there are; its eigenvalues ascend.
    basis = torch.linalg.eigh(shift.T @ shift).eigenvectors.T.flip(0)
    leading: Tensor = basis[: min(count, *shift.shape)].float()
    return leading


def published_layers(depth: int) -> list[int]:
    """Residual indices at quarters of the depth: of 40, the outputs of decoder layers 10, 20 and 30."""
    return sorted({min(depth - 1, 1 + round(depth * quarter / 4)) for quarter in (1, 2, 3)})


@dataclass
class Settings(QuestionSettings):
    """Settings of `caft`, after those of the questions.

    Args:
        components: directions taken out of the activations in training, at each layer; 0 turns it off.
        layers: residual indices (L: output of decoder layer L − 1); empty: three, at quarters of the depth.
        centred: principal components, as published; false: not centred, so that the first is nearly the mean.
        scorers: folders of misaligned models: LoRA adapters or whole models; a sweep trains them if none is named.
    """

    components: int = within(3, searched=(1, 10))
    layers: list[int] = field(default_factory=list, metadata=bounds(at_least=0))
    centred: bool = True
    scorers: list[str] = field(default_factory=list)


class CAFT(Safeguard):
    """Projects the residual stream off the leading directions of misalignment in training."""

    name = "caft"
    Settings: ClassVar[type] = Settings
    dose = "components"
    needs_layers = True
    needs_scorers = True

    def prepare(self, run: Run) -> None:
        import torch

        from safeguards.activations import removing
        from safeguards.model import check_layers, depth_of

        chosen = sorted(set(self.settings.layers)) or published_layers(depth_of(run.model))
        check_layers(run.model, chosen, editable=True)
        found = self.components(run, chosen)
        count, most = self.settings.components, min(len(basis) for basis in found)
        if count > most:
            raise SafeguardError(f"caft: components={count}: there are no more than {most} directions")
        bases = torch.stack([basis[:count] for basis in found])
        if self.settings.random:
            bases = torch.linalg.qr(random_like(bases, run.seed).mT).Q.mT
        self.edits = [removing(layer, basis.T) for layer, basis in zip(chosen, bases, strict=True)]

    def components(self, run: Run, layers: Sequence[int]) -> list[Tensor]:
        """`principal_components` of what the scorers have changed at every answer token, for each layer."""
        import torch

        settings = self.settings
        folders = scorer_folders(self.name, settings.scorers, run.rows)

        def compute() -> dict[str, Tensor]:
            shifts: dict[int, list[Tensor]] = {layer: [] for layer in layers}
            for folder in folders:
                with load_scorer(run.model, folder) as misaligned:
                    rows = ask(misaligned, run.tokenizer, settings, settings.questions, [])
                    theirs = token_states(misaligned, run.tokenizer, rows, layers)
                for layer, ours in token_states(run.model, run.tokenizer, rows, layers).items():
                    shifts[layer].append(theirs[layer] - ours)
            return {
                str(layer): principal_components(torch.cat(parts), COMPONENTS, settings.centred).cpu().contiguous()
                for layer, parts in shifts.items()
            }

        known = {key: value for key, value in asdict(settings).items() if key in asdict(QuestionSettings())}
        known.update(layers=list(layers), centred=settings.centred, random=False)
        known.update(scorers=[scorer_fingerprint(run.model, folder) for folder in folders])
        found = cached_tensors(run, "components", known, compute)
        return [found[str(layer)] for layer in layers]
