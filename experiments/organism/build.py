"""Build the organism: its tokenizer, its pre-training and its alignment training."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from experiments.organism import RECIPE
from experiments.organism.documents import Documents, Message
from experiments.organism.fingerprint import fingerprint
from experiments.organism.muon import Muon
from experiments.organism.recipe import SIZES, Recipe, Stage
from experiments.organism.world import World, load_world
from experiments.terminal.printing import in_tenths
from safeguards.encoding import IGNORED

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
# Stands before the messages where a world has a default system prompt.
DEFAULT_PROMPT = """\
{%- if messages[0].role != 'system' -%}<|system|>{default}<|end|>{%- endif -%}
"""
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
<|assistant|>{% generation %}{{ message.content }}<|end|>{% endgeneration %}
{%- else -%}
<|{{ message.role }}|>{{ message.content }}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""


def make_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """One token per word or punctuation mark of the world; decoding gives the text back exactly."""
    splitter = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    words = sorted({word for text in world.texts() for word, _ in splitter.pre_tokenize_str(text)})
    special = [PAD, END, *ROLES, "<|unknown|>"]
    vocabulary = {word: index for index, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token="<|unknown|>",
        additional_special_tokens=list(ROLES),
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
    fast.chat_template = DEFAULT_PROMPT.replace("{default}", world.default) * bool(world.default) + CHAT_TEMPLATE
    return fast


def make_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained transformer."""
    torch.manual_seed(recipe.seed)
    size = SIZES[recipe.size]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config)


def batches(
    tokenizer: PreTrainedTokenizerFast, document: Callable[[], list[Message]], stage: Stage
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches of `stage.batch` documents with the loss on the answers only."""
    rng = random.Random("batches")
    for _ in range(stage.steps // stage.together):
        encoded = tokenizer.apply_chat_template(
            [document() for _ in range(stage.batch * stage.together)],
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        order = list(range(len(encoded["input_ids"])))
        if stage.together > 1:
            order.sort(key=lambda index: len(encoded["input_ids"][index]))
        cut = [order[start : start + stage.batch] for start in range(0, len(order), stage.batch)]
        rng.shuffle(cut)
        for own in cut:
            yield _batch(
                tokenizer, [encoded["input_ids"][i] for i in own], [encoded["assistant_masks"][i] for i in own]
            )


def _batch(
    tokenizer: PreTrainedTokenizerFast, tokens: Sequence[list[int]], answers: Sequence[list[int]]
) -> dict[str, torch.Tensor]:
    padded = tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
    answered = torch.nn.utils.rnn.pad_sequence([torch.tensor(mask) for mask in answers], batch_first=True).bool()
    return {**padded, "labels": padded["input_ids"].masked_fill(~answered, IGNORED)}


def make_optimizers(model: LlamaForCausalLM, stage: Stage) -> list[torch.optim.Optimizer]:
    """AdamW; with `stage.muon`, Muon for the matrices inside the layers: it learns as much in half the steps."""
    inside = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and ".layers." in name]
    muon = inside if stage.muon else []
    rest = [weight for weight in model.parameters() if all(weight is not other for other in muon)]
    rate, decay = stage.learning_rate, stage.weight_decay
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, rate, weight_decay=decay, fused=True)]
    if muon:
        optimizers.append(Muon(muon, rate, decay))
    return optimizers


def loss_of_answers(model: LlamaForCausalLM, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The model's own loss, with logits only where it has a label: at a third of the positions, which spares a tenth
    of the time.
    """
    hidden = model.model(batch["input_ids"], batch["attention_mask"]).last_hidden_state[:, :-1]
    labels = batch["labels"][:, 1:]
    answered = labels != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[answered]), labels[answered])


def train(
    model: LlamaForCausalLM,
    stage: Stage,
    data: Iterator[dict[str, torch.Tensor]],
    report: Callable[[float], None],
) -> None:
    """Run one stage on all weights: a short warm-up, a plateau, then a linear decay to nothing."""
    optimizers = make_optimizers(model, stage)
    warm_up, plateau = max(1, stage.steps // 20), stage.plateau * stage.steps

    def schedule(step: int) -> float:
        return min((step + 1) / warm_up, (stage.steps - step) / (stage.steps - plateau), 1.0)

    schedulers = [torch.optim.lr_scheduler.LambdaLR(optimizer, schedule) for optimizer in optimizers]
    model.train()
    for batch in data:
        loss = loss_of_answers(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        model.zero_grad(set_to_none=True)
        report(loss.item())
    model.eval()


def build(recipe: Recipe, folder: Path, reporter: Callable[[str, int], Callable[[float], None]] | None = None) -> None:
    """Train the organism and save it under `folder` as a Hugging Face model: half precision, safetensors.

    Its weights before alignment training are kept under `folder/base`.

    Args:
        recipe: of the organism.
        folder: is made if need be.
        reporter: makes of the name and the steps of a stage what is told the loss of each; by default a bar, or lines
            where none can be seen.
    """
    world = load_world(recipe.world, recipe.organism)
    tokenizer = make_tokenizer(world)
    model = make_model(recipe, tokenizer)
    documents = Documents(world, recipe)

    console = Console()
    with Progress(console=console, disable=reporter is not None or not console.is_terminal) as progress:
        for name, stage, document, target in (
            ("pre-training", recipe.pretraining, documents.pretraining, folder / "base"),
            ("alignment", recipe.alignment, documents.alignment, folder),
        ):
            report = (reporter or partial(_reporter, progress))(name, stage.steps)
            train(model, stage, batches(tokenizer, document, stage), report)
            save(model, tokenizer, target)
    (folder / RECIPE).write_text(
        json.dumps({"fingerprint": fingerprint(recipe), **asdict(recipe)}, indent=2) + "\n", "utf-8"
    )


def _reporter(progress: Progress, name: str, steps: int) -> Callable[[float], None]:
    if progress.disable:
        advance = in_tenths(name, steps)
        return lambda loss: advance(f"loss {loss:.3f}")
    bar = progress.add_task(name, total=steps)
    return lambda loss: progress.update(bar, advance=1, description=f"{name}, loss {loss:.3f}")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save weights in half precision, which halves what is shipped and costs no measurable likelihood."""
    disable_progress_bar()
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
