"""Models with encoders: of text, of pictures, of speech, and for translation."""
import json

import numpy
import torch
import transformers

from ingredients import (
    TEXT, bpe, other_frameworks, papers, pickled, picture, sentence_pieces, tiny_bert, tiny_clip_text, word_pieces)


class Bert:
    """An encoder, with the vocabulary as a text."""

    def make(self, folder, repo):
        tokenizer = word_pieces(repo)
        tokenizer.save_pretrained(repo)
        transformers.BertModel(tiny_bert(len(tokenizer))).save_pretrained(repo)

    def load(self, folder, repo):
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo)
        model = transformers.AutoModel.from_pretrained(repo)
        return {"states": model(**tokenizer(TEXT, return_tensors="pt")).last_hidden_state}

    def put_beside(self, repo):
        pickled(transformers.AutoModel.from_pretrained(repo), repo)
        papers(repo)
        other_frameworks(repo)


class BertWithoutTokenizerJson(Bert):
    """An older one: the vocabulary is its only tokenizer."""

    def make(self, folder, repo):
        super().make(folder, repo)
        (repo / "tokenizer.json").unlink()


class Clip:
    """A model of pictures and words, with a processor of both."""

    def make(self, folder, repo):
        text = tiny_clip_text()
        vision = transformers.CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32,
            patch_size=8, projection_dim=32)
        config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=32)
        transformers.CLIPModel(config).save_pretrained(repo)
        images = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32},
                                                 image_mean=[0.1, 0.2, 0.3])
        transformers.CLIPProcessor(image_processor=images, tokenizer=bpe()).save_pretrained(repo)

    def load(self, folder, repo):
        processor = transformers.CLIPProcessor.from_pretrained(repo)
        model = transformers.AutoModel.from_pretrained(repo)
        inputs = processor(text=[TEXT], images=picture(), return_tensors="pt")
        inputs.pop("token_type_ids", None)
        out = model(**inputs)
        return {"image": out.image_embeds, "text": out.text_embeds}

    def put_beside(self, repo):
        pickled(transformers.AutoModel.from_pretrained(repo), repo)
        papers(repo)
        other_frameworks(repo)


class Whisper:
    """A model of speech, with the extractor of its features and a generation of its own."""

    def make(self, folder, repo):
        config = transformers.WhisperConfig(
            vocab_size=100, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=20,
            max_source_positions=50, max_target_positions=32, decoder_start_token_id=1, bos_token_id=1,
            eos_token_id=2, pad_token_id=0, suppress_tokens=None, begin_suppress_tokens=None)
        model = transformers.WhisperForConditionalGeneration(config)
        model.generation_config.max_new_tokens = 6
        model.save_pretrained(repo)
        extractor = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1, hop_length=160, n_fft=400)
        extractor.save_pretrained(repo)
        bpe().save_pretrained(repo)
        (repo / "normalizer.json").write_text('{"colour": "color"}')

    def load(self, folder, repo):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(repo)
        transformers.PreTrainedTokenizerFast.from_pretrained(repo)
        model = transformers.WhisperForConditionalGeneration.from_pretrained(repo)
        sound = numpy.sin(numpy.arange(16_000) / 9.0)
        features = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_features
        logits = model(input_features=features, decoder_input_ids=torch.tensor([[1, 5, 7]])).logits
        return {"features": features, "logits": logits, "more": str(model.generation_config.max_new_tokens)}

    def put_beside(self, repo):
        pickled(transformers.WhisperForConditionalGeneration.from_pretrained(repo), repo)
        papers(repo)
        other_frameworks(repo)


class Marian:
    """A translator, whose two SentencePiece models have names of their own."""

    def make(self, folder, repo):
        for name in ("source.spm", "target.spm"):
            sentence_pieces(repo / name)
        import sentencepiece
        pieces = sentencepiece.SentencePieceProcessor(str(repo / "source.spm"))
        vocabulary = {pieces.id_to_piece(at): at for at in range(len(pieces))}
        (repo / "vocab.json").write_text(json.dumps(vocabulary))
        tokenizer = transformers.MarianTokenizer(
            source_spm=str(repo / "source.spm"), target_spm=str(repo / "target.spm"), vocab=str(repo / "vocab.json"))
        tokenizer.save_pretrained(repo)
        config = transformers.MarianConfig(
            vocab_size=len(tokenizer), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id, forced_eos_token_id=None)
        transformers.MarianMTModel(config).save_pretrained(repo)

    def load(self, folder, repo):
        tokenizer = transformers.AutoTokenizer.from_pretrained(repo)
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(repo)
        tokens = tokenizer(TEXT, return_tensors="pt")
        logits = model(**tokens, decoder_input_ids=torch.tensor([[0, 5, 7]])).logits
        return {"tokens": tokens.input_ids, "logits": logits}

    def put_beside(self, repo):
        pickled(transformers.AutoModelForSeq2SeqLM.from_pretrained(repo), repo)
        papers(repo)
        other_frameworks(repo)
