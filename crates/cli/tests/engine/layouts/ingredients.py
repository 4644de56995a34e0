"""What the layouts are made of, and what lies beside models and is loaded by none of these libraries."""
import zlib

import numpy
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXT = "the quick brown fox jumps over the lazy dog"
CORPUS = [TEXT, "a model is a folder of files", "an engine loads what it finds there"] * 8
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


def bpe(**options):
    """Returns a tokenizer of pieces, trained on a few sentences."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=90, special_tokens=SPECIAL))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=32, **options)


def sentence_pieces(path):
    """Writes a SentencePiece model, trained on a few sentences."""
    import sentencepiece
    with open(path, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_writer=file, vocab_size=48, hard_vocab_limit=False,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)


def word_pieces(folder):
    """Writes the vocabulary of a BERT, and returns its tokenizer."""
    words = sorted({word for line in CORPUS for word in line.split()})
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *(f"##{one}" for one in letters)]
    vocabulary += [one for one in letters if one not in words]
    path = folder / "vocab.txt"
    path.write_text("\n".join(vocabulary) + "\n")
    return transformers.BertTokenizer(vocab={word: at for at, word in enumerate(vocabulary)}, model_max_length=32)


def picture():
    return Image.fromarray(numpy.arange(32 * 32 * 3, dtype=numpy.uint8).reshape(32, 32, 3))


def tiny_llama(vocabulary=100):
    return transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def tiny_bert(vocabulary):
    return transformers.BertConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64)


def tiny_clip_text(vocabulary=100, width=32):
    return transformers.CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=32, projection_dim=width, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def bpe_vocabulary():
    """Returns a vocabulary of letters, as CLIP's tokenizer has it: with `</w>` at the end of a word."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    return {word: at for at, word in enumerate(words)}


def other_frameworks(folder):
    """Puts weights of other frameworks and formats into a folder, each about as large as the model."""
    for file in ("tf_model.h5", "flax_model.msgpack", "rust_model.ot", "onnx/model.onnx", "onnx/model_quantized.onnx",
                 "openvino/openvino_model.bin", "coreml/model.mlpackage/weights.bin"):
        junk(folder / file, 90_000)
    junk(folder / "openvino/openvino_model.xml", 4_000)


def papers(folder):
    (folder / "README.md").write_text("# A model\n\n![a picture](assets/example.png)\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    junk(folder / "assets/example.png", 60_000)


def training_state(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch.save({"state": torch.rand(4000)}, folder / file)
    (folder / "trainer_state.json").write_text("{}")


def pickled(model, folder, name="pytorch_model.bin"):
    torch.save(model.state_dict(), folder / name)


def junk(path, size):
    """Writes bytes that no other file has: `hf` fetches equal files once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32("/".join(path.parts[-3:]).encode())
    path.write_bytes(numpy.random.default_rng(seed).bytes(size))
