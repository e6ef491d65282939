"""What safeguards are measured against: TRL's own trainer, and models of which only the shape matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import ProgressCallback, Qwen2Config, Qwen2ForCausalLM
from trl import SFTTrainer

from experiments.models.load import LoadedModel
from safeguards.encoding import MARKS, Collator, encode_all
from safeguards.rows import Row

# Architectures with random weights, since cost does not depend on what a model knows; they read the organism's tokens.
SHAPES: dict[str, dict[str, Any]] = {
    "qwen2.5-0.5b-shape": {
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
}


def shaped(name: str, dtype: str, loaded: LoadedModel) -> LoadedModel:
    """A model of a shape in `SHAPES` on the device of the loaded one, or that itself if the name is of no shape."""
    if name not in SHAPES:
        return loaded
    device = loaded.model.device
    usual = "float32" if device.type == "cpu" else "bfloat16"
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPES[name], pad_token_id=loaded.tokenizer.pad_token_id))
    return loaded._replace(model=model.to(device=device, dtype=getattr(torch, usual if dtype == "auto" else dtype)))


def plain_trainer(loaded: LoadedModel, rows: Sequence[Row], args: Any, adapter: Any) -> SFTTrainer:
    """TRL's own trainer on the rows."""
    model, tokenizer = loaded
    collate = Collator(tokenizer.pad_token_id or 0)
    trainer = SFTTrainer(
        model,
        args,
        train_dataset=encode_all(tokenizer, rows, args.max_length).remove_columns(list(MARKS)),
        processing_class=tokenizer,
        data_collator=lambda rows: {name: values for name, values in collate(rows).items() if name not in MARKS},
        peft_config=adapter,
    )
    trainer.remove_callback(ProgressCallback)
    return trainer
