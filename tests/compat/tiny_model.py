#!/usr/bin/env python3
"""A language model of two small layers with weights drawn by a fixed seed: tiny_model.py FOLDER, run by vLLM's Python.

Its tokens are the 256 bytes and a few marks, so a text has as many tokens as bytes. What it says is noise.
"""

import pathlib
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

MARKS = ["<end>", "<turn>", "<think>", "</think>", "<tool_call>", "</tool_call>"]
TEMPLATE = """{% for tool in tools or [] %}{{ tool | tojson }}
{% endfor %}{% for message in messages %}<turn>{{ message['role'] }}
{{ message['content'] or '' }}{% for call in message['tool_calls'] or [] %}{{ call | tojson }}{% endfor %}{% endfor %}{% if add_generation_prompt %}<turn>assistant
{% endif %}"""


def tokenizer():
    """A tokenizer of bytes, with the marks after them."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    whole.add_special_tokens(MARKS)
    return PreTrainedTokenizerFast(tokenizer_object=whole, eos_token=MARKS[0], pad_token=MARKS[0], chat_template=TEMPLATE)


def main():
    """Writes the model and its tokenizer."""
    folder = pathlib.Path(sys.argv[1])
    words = tokenizer()
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=16384, bos_token_id=None, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    words.save_pretrained(folder)


if __name__ == "__main__":
    main()
