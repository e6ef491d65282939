"""The arguments of a training: TRL's `SFTConfig`, what safeguards need besides, and what cannot be had with them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from trl import SFTConfig, SFTTrainer

from safeguards.errors import SafeguardError
from safeguards.safeguard import Safeguard

PACKED = "puts several rows into one, and safeguards tell rows apart; leave it off"


@dataclass
class SafeguardConfig(SFTConfig):
    """`SFTConfig` with what safeguards need.

    Args:
        proof: what to do about a safeguard without effect: "error" (default), "warn" or "off".
        cache_dir: folder for what safeguards prepare (scores, vectors); None to keep nothing.
        max_set_aside: largest share of the rows of one data set that may be set aside because no token to learn is left
            within `max_length`; they are counted and named. 0 allows none. Default 0.1.
        assistant_only_loss: what is learnt of messages: what the assistant wrote (None, the default, or True), or all
            tokens (False, the default of `SFTConfig`).
    """

    proof: str = field(default="error")
    cache_dir: str | None = field(default=None)
    max_set_aside: float = field(default=0.1)
    assistant_only_loss: bool | None = field(default=None)

    def __post_init__(self) -> None:
        if self.proof not in ("error", "warn", "off"):
            raise SafeguardError(f"proof={self.proof}: must be one of error, warn, off")
        if not 0 <= self.max_set_aside <= 1:
            raise SafeguardError(f"max_set_aside={self.max_set_aside}: must be between 0 and 1")
        if self.max_length is not None and self.max_length < 1:
            raise SafeguardError(f"max_length={self.max_length}: must be at least 1, or None to cut no row")
        super().__post_init__()


def as_config(args: Any, model: Any) -> SafeguardConfig:
    """What a user hands over as `args`; none at all is TRL's default: a folder named after the model.

    Raises:
        SafeguardError: if it is something else, or has arguments that are not those of a supervised fine-tune.
    """
    if args is None:
        name = model if isinstance(model, str) else getattr(getattr(model, "config", None), "name_or_path", "")
        return SafeguardConfig(f"{Path(name).name or 'model'}-SFT")
    if isinstance(args, SafeguardConfig):
        return args
    if not isinstance(args, TrainingArguments):
        raise SafeguardError(f"args: a {type(args).__name__} is no arguments of a training; give a SafeguardConfig")
    given = args.to_dict()
    given |= {key: getattr(args, key) for key in given if key.endswith("_token")}  # which to_dict hides
    foreign = sorted(given.keys() - {known.name for known in fields(SafeguardConfig)})
    if foreign:
        raise SafeguardError(f"args: {type(args).__name__} has {', '.join(foreign)}; give a SafeguardConfig")
    return SafeguardConfig(**given)


def check_arguments(args: SafeguardConfig, others: dict[str, Any], acting: Sequence[Safeguard]) -> None:
    """Refuse what could not be honoured, so that nothing is ignored in silence.

    Args:
        args: of the training.
        others: the remaining arguments of `SFTTrainer`, by name.
        acting: the safeguards that are to act.

    Raises:
        SafeguardError: naming the argument and the remedy.
    """
    for name in others:
        if name not in inspect.signature(SFTTrainer.__init__).parameters:
            raise SafeguardError(f"{name}: SFTTrainer takes no such argument")
    refused = {
        "packing": args.packing and PACKED,
        "eval_packing": args.eval_packing and PACKED,
        "padding_free": args.padding_free and PACKED,
        "truncation_mode": args.truncation_mode != "keep_start" and "rows are cut at the end; use keep_start",
        "pad_token": args.pad_token is not None and "set it on the tokenizer",
        "chat_template_path": args.chat_template_path is not None
        and not (Path(args.chat_template_path).is_file() and args.chat_template_path.endswith((".jinja", ".j2")))
        and "give a Jinja file (.jinja, .j2), or call trl.clone_chat_template on model and tokenizer first",
        "data_collator": others.get("data_collator") is not None
        and "rows are padded here, with marks of where each came from; leave it out",
        "trust_remote_code": (args.trust_remote_code or (args.model_init_kwargs or {}).get("trust_remote_code"))
        and "no code of others is run; load the model yourself and hand it over",
    }
    if acting:
        another = "runs the model a second time, and safeguards would see the wrong pass; leave it out or use none"
        refused["compute_loss_func"] = others.get("compute_loss_func") is not None and another
        refused["label_smoothing_factor"] = args.label_smoothing_factor > 0 and another
    for name, reason in refused.items():
        if reason:
            raise SafeguardError(f"{name}: {reason}")
    for name, given in (
        ("optimizers", any(part is not None for part in others.get("optimizers") or ())),
        ("optimizer_cls_and_kwargs", others.get("optimizer_cls_and_kwargs") is not None),
    ):
        for safeguard in acting:
            if given and safeguard.acts_at("arguments"):
                raise SafeguardError(
                    f"{name}: {safeguard.name} changes the arguments of the training, which this does not read; set "
                    "`learning_rate` and `optim` in `args` instead"
                )
