"""Language models: in shards, beside other formats, with code of their own, and as adapters."""
import json
import shutil
import sys

import torch
import transformers

from ingredients import TEXT, bpe, other_frameworks, papers, pickled, tiny_llama, training_state


class Llama:
    """A language model in shards, as `save_pretrained` writes it: the weights of each are named by an index."""

    def make(self, folder, repo):
        model = transformers.LlamaForCausalLM(tiny_llama())
        model.generation_config.max_new_tokens = 7
        model.generation_config.do_sample = False
        model.save_pretrained(repo, max_shard_size="60KB")
        tokenizer = bpe()
        tokenizer.chat_template = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
        tokenizer.save_pretrained(repo)
        assert len(list(repo.glob("model-*.safetensors"))) > 1

    def load(self, folder, repo):
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo)
        model = transformers.AutoModelForCausalLM.from_pretrained(repo)
        chat = tokenizer.apply_chat_template([{"role": "user", "content": TEXT}], tokenize=False)
        tokens = tokenizer(TEXT, return_tensors="pt", return_token_type_ids=False)
        return {"logits": model(**tokens).logits, "tokens": model.generate(**tokens), "chat": chat}

    def put_beside(self, repo):
        papers(repo)


class LlamaWithAll(Llama):
    """The same, with the same weights as pickles, other frameworks' weights, Meta's own files, and what a training leaves."""

    def put_beside(self, repo):
        model = transformers.AutoModelForCausalLM.from_pretrained(repo)
        state = list(model.state_dict().items())
        for number, part in enumerate((state[:8], state[8:]), 1):
            torch.save(dict(part), repo / f"pytorch_model-0000{number}-of-00002.bin")
        index = {name: f"pytorch_model-0000{1 + (at >= 8)}-of-00002.bin" for at, (name, _) in enumerate(state)}
        (repo / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
        original = repo / "original"
        original.mkdir()
        pickled(model, original, "consolidated.00.pth")
        (original / "params.json").write_text("{}")
        papers(repo)
        other_frameworks(repo)
        training_state(repo)
        training_state(repo / "checkpoint-500")
        shutil.copy(repo / "config.json", repo / "checkpoint-500")
        model.save_pretrained(repo / "checkpoint-500")


class LlamaPrecisions(Llama):
    """The default weights and those of half the width beside each other, with names that `variant` gives."""

    def make(self, folder, repo):
        super().make(folder, repo)
        model = transformers.AutoModelForCausalLM.from_pretrained(repo)
        model.half().save_pretrained(repo, variant="fp16")
        config = transformers.LlamaConfig.from_pretrained(repo)
        config.dtype = torch.float32
        config.save_pretrained(repo)


class RemoteCode:
    """A model whose repository brings its own classes, and a tokenizer of its own that reads a file with a name of its own."""

    MODEL = '''\
import torch
from transformers import PretrainedConfig, PreTrainedModel
from .shared_parts import twice


class TinyConfig(PretrainedConfig):
    model_type = "tiny-of-its-own"

    def __init__(self, width=8, **rest):
        super().__init__(**rest)
        self.width = width


class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.linear = torch.nn.Linear(config.width, config.width)
        self.post_init()

    def forward(self, values):
        return twice(self.linear(values))
'''

    TOKENIZER = '''\
import os
from transformers import PreTrainedTokenizer


class TinyTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "tiny.tiktoken"}

    def __init__(self, vocab_file, **rest):
        with open(vocab_file) as file:
            self.words = file.read().split("\\n")
        super().__init__(**rest)

    @property
    def vocab_size(self):
        return len(self.words)

    def get_vocab(self):
        return {word: at for at, word in enumerate(self.words)}

    def _tokenize(self, text, **rest):
        return text.split()

    def _convert_token_to_id(self, token):
        return self.words.index(token)

    def _convert_id_to_token(self, at):
        return self.words[at]

    def save_vocabulary(self, folder, filename_prefix=None):
        path = os.path.join(folder, "tiny.tiktoken")
        with open(path, "w") as file:
            file.write("\\n".join(self.words))
        return (path,)
'''

    def make(self, folder, repo):
        package = folder / "code" / "tiny_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "modeling_tiny.py").write_text(self.MODEL)
        (package / "shared_parts.py").write_text("def twice(values):\n    return values * 2\n")
        (package / "tokenization_tiny.py").write_text(self.TOKENIZER)
        vocabulary = package / "words"
        vocabulary.write_text("\n".join(sorted(set(TEXT.split()))))
        sys.path.insert(0, str(package.parent))
        from tiny_package.modeling_tiny import TinyConfig, TinyModel
        from tiny_package.tokenization_tiny import TinyTokenizer
        TinyConfig.register_for_auto_class()
        TinyModel.register_for_auto_class("AutoModel")
        TinyTokenizer.register_for_auto_class("AutoTokenizer")
        TinyModel(TinyConfig()).save_pretrained(repo)
        TinyTokenizer(str(vocabulary)).save_pretrained(repo)

    def load(self, folder, repo):
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo, trust_remote_code=True)
        model = transformers.AutoModel.from_pretrained(repo, trust_remote_code=True)
        tokens = tokenizer(TEXT, return_tensors="pt").input_ids
        return {"tokens": tokens, "values": model(torch.ones(1, 8))}

    def put_beside(self, repo):
        papers(repo)
        training_state(repo)


class Adapter:
    """A LoRA, with the checkpoints of its training beside it."""

    def make(self, folder, repo):
        import peft
        base = folder / "base"
        base.mkdir()
        Llama().make(folder, base)
        model = transformers.AutoModelForCausalLM.from_pretrained(base)
        config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        adapted = peft.get_peft_model(model, config)
        adapted.save_pretrained(repo)
        bpe().save_pretrained(repo)
        for step in (5, 10):
            adapted.save_pretrained(repo / f"checkpoint-{step}")

    def load(self, folder, repo):
        import peft
        model = transformers.AutoModelForCausalLM.from_pretrained(folder / "base")
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo)
        tokens = tokenizer(TEXT, return_tensors="pt", return_token_type_ids=False)
        return {"logits": peft.PeftModel.from_pretrained(model, repo)(**tokens).logits}

    def put_beside(self, repo):
        papers(repo)
        training_state(repo)
        for step in (5, 10):
            training_state(repo / f"checkpoint-{step}")
        torch.save({"x": torch.rand(9)}, repo / "adapter_model.bin")
