"""Embedding models, as sentence-transformers saves them."""
import json

import torch

from encoders import Bert
from ingredients import CORPUS, TEXT, bpe, junk, other_frameworks, papers, training_state


class SentenceTransformer(Bert):
    """An embedding model of four modules, one of which has weights of its own."""

    def make(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences, models as modules
        base = folder / "base"
        base.mkdir()
        super().make(folder, base)
        words = modules.Transformer(str(base), max_seq_length=16)
        pooling = modules.Pooling(32, pooling_mode="cls")
        dense = modules.Dense(32, 24, activation_function=torch.nn.Tanh())
        sentences = Sentences(modules=[words, pooling, dense, modules.Normalize()],
                              prompts={"query": "the quick "}, default_prompt_name="query")
        sentences.save_pretrained(str(repo))

    def load(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences
        model = Sentences(str(repo), device="cpu")
        return {"embedding": model.encode(TEXT), "long": model.encode(" ".join(CORPUS)),
                "modules": " ".join(type(module).__name__ for module in model)}

    def put_beside(self, repo):
        junk(repo / "pytorch_model.bin", 90_000)
        for dense in repo.glob("*_Dense"):
            junk(dense / "pytorch_model.bin", 3_000)
        papers(repo)
        other_frameworks(repo)
        (repo / "train_script.py").write_text("print('training')\n")
        training_state(repo)


class StaticEmbedding:
    """An embedding model without a Transformer: its weights and its tokenizer lie in the folder of its only module."""

    def make(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences, models as modules
        static = modules.StaticEmbedding(bpe().backend_tokenizer, embedding_dim=16)
        Sentences(modules=[static], device="cpu").save_pretrained(str(repo))
        inner = repo / "0_StaticEmbedding"
        inner.mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (repo / name).rename(inner / name)
        modules_of = json.loads((repo / "modules.json").read_text())
        modules_of[0]["path"] = inner.name
        (repo / "modules.json").write_text(json.dumps(modules_of))

    def load(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences
        return {"embedding": Sentences(str(repo), device="cpu").encode(TEXT)}

    def put_beside(self, repo):
        papers(repo)
        other_frameworks(repo)


class Router:
    """An embedding model with one way for questions and another one for documents, each in folders of its own."""

    def make(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences, models as modules
        base = folder / "base"
        base.mkdir()
        Bert().make(folder, base)
        static = modules.StaticEmbedding(bpe().backend_tokenizer, embedding_dim=32)
        words = modules.Transformer(str(base), max_seq_length=16)
        router = modules.Router.for_query_document(
            query_modules=[static], document_modules=[words, modules.Pooling(32, pooling_mode="mean")])
        Sentences(modules=[router], device="cpu").save_pretrained(str(repo))

    def load(self, folder, repo):
        from sentence_transformers import SentenceTransformer as Sentences
        model = Sentences(str(repo), device="cpu")
        return {"question": model.encode_query(TEXT), "document": model.encode_document(TEXT)}

    def put_beside(self, repo):
        papers(repo)
        other_frameworks(repo)
