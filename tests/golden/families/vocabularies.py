"""Small vocabularies, each as the fields of a GGUF and as the tokenizer files of a Hugging Face folder.

Two kinds: byte-level BPE (Llama 3, Qwen) and SentencePiece's BPE with bytes to fall back on (Mistral, Gemma).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

NORMAL, UNKNOWN, CONTROL = (int(t) for t in (gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL))
BYTE = int(gguf.TokenType.BYTE)

# How the models of these names split text before BPE (`pre_tokenizer` of their tokenizer.json).
SPLITS = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}


@dataclass
class Vocabulary:
    model: str  # tokenizer.ggml.model
    pre: str  # tokenizer.ggml.pre
    tokens: list[str]
    types: list[int]
    eos: int
    bos: int | None
    add_bos: bool
    tokenizer_class: str  # what tokenizer_config.json names
    scores: list[float] | None = None  # llama
    merges: list[tuple[str, str]] = field(default_factory=list)
    space_prefix: bool = False  # llama
    unknown: int | None = None
    padding: int | None = None


# --- byte-level BPE ---------------------------------------------------------------------------------------------

MERGES = ["Ġ t", "h e", "Ġt he", "i n", "Ġ a", "e r", "o n", "r e", "Ġa n", "in g", "1 2", "Ġan d"]


def byte_letters() -> list[str]:
    """GPT-2's spelling of the 256 bytes, in the order of its vocabulary: printable bytes first, then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in printable] + [chr(0x100 + rank) for rank in range(256 - len(printable))]


def byte_level(pre: str, controls: list[str], eos: str, bos: str | None, add_bos: bool, tokenizer_class: str) -> Vocabulary:
    normal = byte_letters() + [merge.replace(" ", "") for merge in MERGES]
    tokens = normal + controls
    return Vocabulary("gpt2", pre, tokens, [NORMAL] * len(normal) + [CONTROL] * len(controls), tokens.index(eos),
                      tokens.index(bos) if bos else None, add_bos, tokenizer_class,
                      merges=[tuple(merge.split()) for merge in MERGES])


def llama3() -> Vocabulary:
    controls = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|eot_id|>"]
    return byte_level("llama-bpe", controls, "<|eot_id|>", "<|begin_of_text|>", True, "PreTrainedTokenizerFast")


def qwen() -> Vocabulary:
    controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return byte_level("qwen2", controls, "<|im_end|>", "<|endoftext|>", False, "Qwen2Tokenizer")


# --- SentencePiece ----------------------------------------------------------------------------------------------

PIECES = ["▁t", "he", "▁the", "in", "▁▁", "ing", "▁", "e", "t", "a", "o", "h", "n", "i", "s", "g", "r", "d", "l"]


def sentencepiece(controls: list[str], bos: str, eos: str, space_prefix: bool, tokenizer_class: str) -> Vocabulary:
    """A piece's score is minus its rank: the earlier one merges first."""
    tokens = controls + [f"<0x{byte:02X}>" for byte in range(256)] + PIECES
    types = [UNKNOWN if token == "<unk>" else CONTROL for token in controls] + [BYTE] * 256 + [NORMAL] * len(PIECES)
    scores = [0.0] * (len(controls) + 256) + [-float(rank) for rank in range(len(PIECES))]
    # A tokenizer.json lists every way to put a piece together from two others.
    merges = [(piece[:cut], piece[cut:]) for piece in PIECES for cut in range(1, len(piece))
              if piece[:cut] in PIECES and piece[cut:] in PIECES]
    return Vocabulary("llama", "default", tokens, types, tokens.index(eos), tokens.index(bos), True, tokenizer_class,
                      scores, merges, space_prefix, tokens.index("<unk>"),
                      tokens.index("<pad>") if "<pad>" in tokens else None)


def mistral() -> Vocabulary:
    return sentencepiece(["<unk>", "<s>", "</s>"], "<s>", "</s>", True, "LlamaTokenizerFast")


def gemma() -> Vocabulary:
    return sentencepiece(["<pad>", "<eos>", "<bos>", "<unk>"], "<bos>", "<eos>", False, "GemmaTokenizer")


# --- the Hugging Face side --------------------------------------------------------------------------------------


def tokenizer(v: Vocabulary) -> Tokenizer:
    ids = {token: index for index, token in enumerate(v.tokens)}
    if v.model == "gpt2":
        plain = {token: ids[token] for token, kind in zip(v.tokens, v.types) if kind == NORMAL}
        out = Tokenizer(models.BPE(plain, v.merges, ignore_merges=v.pre == "llama-bpe"))
        if v.pre == "qwen2":
            out.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(SPLITS[v.pre]), "isolated", invert=False)
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        out.pre_tokenizer = pre_tokenizers.Sequence([split, letters])
        out.decoder = decoders.ByteLevel()
    else:
        out = Tokenizer(models.BPE(ids, v.merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        spaces = normalizers.Replace(" ", "▁")
        parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        if v.space_prefix:
            out.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
            parts.append(decoders.Strip(" ", 1, 0))
        else:
            out.normalizer = spaces
            out.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        out.decoder = decoders.Sequence(parts)
    out.add_special_tokens([AddedToken(token, special=True, normalized=False)
                            for token, kind in zip(v.tokens, v.types) if kind in (CONTROL, UNKNOWN)])
    if v.add_bos:
        bos = v.tokens[v.bos]
        out.post_processor = processors.TemplateProcessing(f"{bos} $A", f"{bos} $A {bos} $B", [(bos, v.bos)])
    assert out.get_vocab() == ids
    return out


def write_folder(v: Vocabulary, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json."""
    tokenizer(v).save(str(folder / "tokenizer.json"))
    controls = {str(index): {"content": token, "lstrip": False, "normalized": False, "rstrip": False,
                             "single_word": False, "special": True}
                for index, (token, kind) in enumerate(zip(v.tokens, v.types)) if kind in (CONTROL, UNKNOWN)}
    named = {"bos_token": v.bos if v.add_bos else None, "eos_token": v.eos, "unk_token": v.unknown, "pad_token": v.padding}
    config = {"add_bos_token": v.add_bos, "add_eos_token": False, "added_tokens_decoder": controls,
              **{name: None if index is None else v.tokens[index] for name, index in named.items()},
              "clean_up_tokenization_spaces": False, "model_max_length": 256, "tokenizer_class": v.tokenizer_class}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def write_gguf(v: Vocabulary, writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model(v.model)
    writer.add_tokenizer_pre(v.pre)
    writer.add_token_list(v.tokens)
    if v.scores is not None:
        writer.add_token_scores(v.scores)
    writer.add_token_types(v.types)
    if v.model == "gpt2":
        writer.add_token_merges([" ".join(merge) for merge in v.merges])
    else:
        writer.add_add_space_prefix(v.space_prefix)
    writer.add_eos_token_id(v.eos)
    if v.bos is not None:
        writer.add_bos_token_id(v.bos)
    if v.unknown is not None:
        writer.add_unk_token_id(v.unknown)
    if v.padding is not None:
        writer.add_pad_token_id(v.padding)
    writer.add_add_bos_token(v.add_bos)
    writer.add_add_eos_token(False)


# --- what it makes of text --------------------------------------------------------------------------------------

TEXTS = ["", "the", " the thing and 1234", "hello  world\n\n\tend", "don't ON'T", "naïve café 東京 🦙", "e\u0301 12,345.67",
         "a   b    c", "x\r\ny \n", "<s> <|im_end|><bos> plain"]


def tokenization(v: Vocabulary) -> list[dict]:
    made = tokenizer(v)
    return [{"text": text, "ids": made.encode(text).ids, "ids_without_bos": made.encode(text, add_special_tokens=False).ids,
             "decoded": made.decode(made.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)}
            for text in TEXTS]
