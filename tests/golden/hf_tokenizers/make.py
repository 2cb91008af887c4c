#!/usr/bin/env python3
"""Trains small tokenizers of the kinds that checkpoints have, and writes what the reference makes of texts with them.

    pip install tokenizers==0.23.3 transformers==5.23.0
    python make.py            # writes beside itself

Each folder has the files of a checkpoint: `tokenizer.json`, `tokenizer_config.json` and so on. Expressions, normalizers,
decoders and templates are those of the family that the folder is named after; words come from the licence of this
repository and from the texts below. `texts.json` holds the texts, `expected.json` of a folder one row per text:

- `parse`: ids, special tokens in the text found (tokenizers, onig expressions)
- `plain`: ids, special tokens in the text taken as text; absent where it equals `parse`
- `model`: ids as the model wants them (transformers)
- `text`: what `parse` becomes again without special tokens; `shown`: with them, where it differs
- `steps`: characters of `text` that are certain after each id
"""

import json
from itertools import accumulate
from pathlib import Path

from tokenizers import (
    AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers,
)
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
LICENCE = (HERE.parents[2] / "LICENSE-APACHE").read_text()

TEXTS = [
    "",
    "a",
    " ",
    "Hello, world!",
    " leading space",
    "   three leading spaces",
    "trailing space ",
    "two  spaces   three    four",
    "line\nbreak\n\nparagraph\n\n\n\nend\n",
    "\ttab\t\ttabs \t mixed \r\n windows \r\n",
    "It's we're I'LL they'd DON'T can't",
    "numbers 1 12 123 1234 12345 1234567 3.14159 1,000,000",
    "2026-01-31T12:34:56Z v1.2.3-rc.4",
    "naïve café résumé Zürich",
    "e\u0301 combining, \u00e9 composed, A\u030a",
    "日本語のテキスト、中文文本，한국어 텍스트",
    "Привет мир, γειά σου Κόσμε",
    "שלום עולם مرحبا بالعالم",
    "नमस्ते दुनिया สวัสดีชาวโลก",
    "😀 emoji 👩‍👩‍👧‍👦 family 🇩🇪 flag 👍🏽 tone",
    "math ∑∫√ ≤≥≠ ½ ² ① Ⅷ",
    "zero\u200bwidth\u00a0nbsp\u3000ideographic\u2028line",
    "\x00\x01\x7f control \x1b[31m",
    "def f(x):\n    return x ** 2  # comment\n\nprint(f\"{f(3)=}\")\n",
    "for (int i = 0; i < n; ++i) { a[i] += b->c; }",
    "<html><body class=\"x\">&amp;</body></html>",
    "https://example.org/a/b?c=d&e=%20#f user@example.org",
    "{\"key\": [1, 2.5, null, true], \"s\": \"\\n\"}",
    "SHOUTING camelCase snake_case kebab-case PascalCase",
    "...!!!???---___***///",
    "«quotes» “curly” ‘single’ – en — em …",
    "a▁b ▁c the ▁ mark",
    "<0x41> is not a byte here <0x0A>",
    "begin<|endoftext|>end <|im_start|>user\nhi<|im_end|>\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
    "<s>[INST] hi [/INST] answer </s>",
    "<bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n",
    "<think>\nhm\n</think>\n\n<tool_call>\n{\"name\": \"f\"}\n</tool_call>",
    "ﬁne ligature Å Ångström ﷺ",
    "\U0001f9ff\U000e0041 beyond \U0001d54f",
    "Licensed under the Apache License, Version 2.0 (the \"License\");",
    "x" * 60 + " " * 20 + "y",
]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def isolated(*expressions):
    return [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]


def byte_level(pre_tokenizer, normalizer=None, vocab=700, **model):
    """Byte-level BPE, as GPT-2 introduced it."""
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator([LICENCE, *TEXTS], trainer)
    return tokenizer


def byte_fallback(specials, runs, vocab=500):
    """BPE over text with `▁`, with a token for each byte, as SentencePiece models become when they are converted."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    letters = sorted(set("".join(chr(code) for code in range(33, 127)) + "éüñ▁日本語"))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab, initial_alphabet=letters, limit_alphabet=len(letters), show_progress=False
    )
    trained.train_from_iterator([LICENCE, *TEXTS], trainer)
    model = json.loads(trained.to_str())["model"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    merges = [tuple(merge) for merge in model["merges"]]
    # Runs of spaces are tokens in these vocabularies, made of one another.
    tokens += ["▁" * length for length in range(2, runs + 1)]
    merges += [("▁" * (length // 2), "▁" * (length - length // 2)) for length in range(2, runs + 1)]
    tokens += [token for token, _ in sorted(model["vocab"].items(), key=lambda entry: entry[1]) if token not in tokens]
    vocab = {token: id for id, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    return tokenizer


def special(*texts):
    return [AddedToken(text, special=True, normalized=False) for text in texts]


def template(tokenizer, *before):
    return processors.TemplateProcessing(
        single=[*before, "$A"], pair=[*before, "$A", *(f"{token}:1" for token in before), "$B:1"],
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in before],
    )


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.add_special_tokens(special("<|endoftext|>"))
    name = "<|endoftext|>"
    return tokenizer, {"tokenizer_config.json": {"bos_token": name, "eos_token": name, "unk_token": name}}


def smollm():
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer = byte_level(pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    config = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    generation = {"bos_token_id": tokenizer.token_to_id("<|im_start|>"), "eos_token_id": tokenizer.token_to_id("<|im_end|>")}
    return tokenizer, {"tokenizer_config.json": config, "generation_config.json": generation}


def qwen2():
    split = isolated(QWEN2)
    tokenizer = byte_level(
        pre_tokenizers.Sequence([*split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        normalizers.NFC(),
    )
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False) for text in ("<tool_call>", "</tool_call>", "<think>", "</think>")]
    )
    ids = [tokenizer.token_to_id(text) for text in ("<|im_end|>", "<|endoftext|>")]
    config = {
        "add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
    }
    generation = {
        "bos_token_id": ids[1], "eos_token_id": ids, "pad_token_id": ids[1], "do_sample": True, "temperature": 0.6,
        "top_k": 20, "top_p": 0.95,
    }
    return tokenizer, {"tokenizer_config.json": config, "generation_config.json": generation}


def llama3():
    split = isolated(LLAMA3)
    tokenizer = byte_level(
        pre_tokenizers.Sequence([*split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        ignore_merges=True,
    )
    names = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    tokenizer.add_special_tokens(special(*names))
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(tokenizer, "<|begin_of_text|>")]
    )
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    map = {"bos_token": {"content": "<|begin_of_text|>", "lstrip": False}, "eos_token": "<|eot_id|>"}
    ids = [tokenizer.token_to_id(name) for name in ("<|end_of_text|>", "<|eot_id|>")]
    return tokenizer, {
        "tokenizer_config.json": config,
        "special_tokens_map.json": map,
        "generation_config.json": {"do_sample": True, "eos_token_id": ids, "temperature": 0.6, "top_p": 0.9},
        "config.json": {"model_type": "llama", "bos_token_id": tokenizer.token_to_id(names[0]), "eos_token_id": ids[1]},
    }


def deepseek3():
    split = isolated(r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3)
    tokenizer = byte_level(
        pre_tokenizers.Sequence([*split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    )
    tokenizer.add_special_tokens(special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"))
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    named = lambda text: {"__type": "AddedToken", "content": text, "normalized": True, "special": True}
    config = {
        "add_bos_token": True, "add_eos_token": False,
        "bos_token": named("<｜begin▁of▁sentence｜>"), "eos_token": named("<｜end▁of▁sentence｜>"),
    }
    return tokenizer, {"tokenizer_config.json": config}


def gemma():
    names = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
    tokenizer = byte_fallback(names, 16)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(special(*names))
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("▁▁", "▁▁▁▁", "\n\n", "<html>")])
    tokenizer.post_processor = template(tokenizer, "<bos>")
    config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    ids = [tokenizer.token_to_id("<eos>"), tokenizer.token_to_id("<end_of_turn>")]
    generation = {"cache_implementation": "hybrid", "do_sample": True, "eos_token_id": ids, "top_k": 64, "top_p": 0.95}
    return tokenizer, {"tokenizer_config.json": config, "generation_config.json": generation}


def llama2():
    tokenizer = byte_fallback(("<unk>", "<s>", "</s>"), 8)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tokenizer.post_processor = template(tokenizer, "<s>")
    config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return tokenizer, {
        "tokenizer_config.json": config,
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "temperature": 0.9, "top_p": 0.6, "do_sample": True},
    }


def mistral():
    tokenizer = byte_fallback(("<unk>", "<s>", "</s>", "[INST]", "[/INST]"), 8)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>", "[INST]", "[/INST]"))
    # A token that takes the spaces around it along.
    tokenizer.add_special_tokens([AddedToken("<think>", special=True, normalized=False, lstrip=True, rstrip=True)])
    tokenizer.post_processor = template(tokenizer, "<s>")
    return tokenizer, {"tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}}


def rows(tokenizer, folder):
    model = PreTrainedTokenizerFast.from_pretrained(folder)
    for key, value in json.loads((folder / "tokenizer_config.json").read_text()).items():
        if key in ("add_bos_token", "add_eos_token"):
            setattr(model, key, value)  # from_pretrained of version 5 drops them, those of 4 applied them
    for text in TEXTS:
        tokenizer.encode_special_tokens = False
        parse = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        decode = lambda ids, skip=True: tokenizer.decode(ids, skip_special_tokens=skip)
        whole, shown = decode(parse), decode(parse, False)
        # The replacement character stands for what may yet become a character. For bytes the reference puts it in
        # place of whole characters before the incomplete one too, which were certain a step ago.
        steps = [len(decode(parse[:count]).rstrip("\ufffd")) for count in range(1, len(parse) + 1)]
        steps = list(accumulate(steps, max))
        row = {"parse": parse, "model": model(text)["input_ids"], "text": whole, "steps": steps}
        if plain != parse:
            row["plain"] = plain
        if shown != whole:
            row["shown"] = shown
        yield row


def write(path, value, **options):
    path.write_text(json.dumps(value, ensure_ascii=False, **options) + "\n")


def main():
    write(HERE / "texts.json", TEXTS, indent=0)
    for family in (gpt2, smollm, qwen2, llama3, deepseek3, gemma, llama2, mistral):
        folder = HERE / family.__name__
        folder.mkdir(exist_ok=True)
        tokenizer, files = family()
        write(folder / "tokenizer.json", json.loads(tokenizer.to_str()), separators=(",", ":"))
        for name, value in files.items():
            write(folder / name, value, indent=1)
        lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows(tokenizer, folder)]
        (folder / "expected.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


main()
