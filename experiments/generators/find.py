"""The engine of a configuration, refused early where it cannot work."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.config.generation import HF, OPENAI, VLLM
from experiments.config.schema import Config
from experiments.endpoint.access import refuse_unusable
from experiments.generators.engine import Engine
from experiments.generators.in_process import InProcess, room_for
from experiments.generators.served import served
from experiments.models.paths import resolve_path
from safeguards.errors import SafeguardError


def refuse_generator(config: Config) -> None:
    """Refuse an engine that is not installed, or whose settings cannot work.

    Raises:
        SafeguardError: naming the key.
    """
    if config.generator.kind == OPENAI:
        refuse_unusable(config.generator, "generator")
    if config.generator.kind != VLLM:
        return
    if importlib.util.find_spec("vllm") is None:
        raise SafeguardError(
            "generator=vllm: needs the vllm package, which pins a torch of its own; install it here, or run its server "
            "elsewhere and use generator=openai"
        )
    if config.model.quantization is not None:
        raise SafeguardError(
            f"model.quantization={config.model.quantization}: generator=vllm would answer with other weights than "
            "those that were trained on; use generator=hf"
        )
    room_for(config.training.lora.r)


@contextmanager
def engine_of(config: Config, folder: Path, adapter: Path | None) -> Iterator[Engine]:
    """The engine on the model of the arm in `folder`: the base model, with `adapter` on it if there is one."""
    refuse_generator(config)
    assert config.generator.kind != HF
    if config.generator.kind == OPENAI:
        with served(config.generator, folder.name, adapter) as engine:
            yield engine
        return
    path = resolve_path(config.model.path, config.model.home)
    revision = None if Path(path).is_dir() else config.model.revision
    rank, memory = config.training.lora.r, config.generator.gpu_memory
    yield InProcess(path, config.model.dtype, rank, memory, adapter, revision)
