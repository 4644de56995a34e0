"""Pipelines and their parts, as diffusers saves them."""
import torch
import transformers

from ingredients import TEXT, bpe_vocabulary, junk, papers, tiny_clip_text


class StableDiffusion:
    """A pipeline of five components, as `save_pretrained` of diffusers writes it."""

    VARIANTS = (None,)

    def make(self, folder, repo):
        pipeline = self.pipeline()
        for variant in self.VARIANTS:
            pipeline.to(torch.float16 if variant else torch.float32).save_pretrained(repo, variant=variant)

    def pipeline(self):
        import diffusers
        text = transformers.CLIPTextModel(tiny_clip_text())
        unet = diffusers.UNet2DConditionModel(
            block_out_channels=(32, 64), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32, norm_num_groups=8, attention_head_dim=8)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(16, 32), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=8,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, sample_size=16)
        scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                            clip_sample=False, set_alpha_to_one=False,
                                            steps_offset=1)
        images = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        vision = transformers.CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, image_size=32,
            patch_size=8, projection_dim=32)
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        checker = StableDiffusionSafetyChecker(transformers.CLIPConfig(
            text_config=tiny_clip_text().to_dict(), vision_config=vision.to_dict(), projection_dim=32))
        tokenizer = transformers.CLIPTokenizer(vocab=bpe_vocabulary(), merges=[], model_max_length=32)
        return diffusers.StableDiffusionPipeline(
            vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=checker,
            feature_extractor=images)

    def load(self, folder, repo):
        import diffusers
        variant = self.VARIANTS[0]
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(repo, variant=variant, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        noise = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        latents = pipeline(TEXT[:19], latents=noise, num_inference_steps=2, height=16, width=16, output_type="latent")
        decoded = pipeline.vae.decode(latents.images).sample
        return {"latents": latents.images, "picture": decoded,
                "components": " ".join(sorted(type(one).__name__ for one in pipeline.components.values()))}

    def put_beside(self, repo):
        papers(repo)
        for single in ("v1-tiny-pruned.safetensors", "v1-tiny.ckpt"):
            junk(repo / single, 900_000)
        for component in ("unet", "vae", "text_encoder", "safety_checker"):
            name = "diffusion_pytorch_model" if component in ("unet", "vae") else "pytorch_model"
            junk(repo / component / f"{name}.bin", 200_000)
            junk(repo / component / "model.onnx", 200_000)
            junk(repo / component / "openvino_model.bin", 200_000)
            junk(repo / component / ("diffusion_flax_model.msgpack" if name[0] == "d" else "flax_model.msgpack"), 200_000)


class StableDiffusionPrecisions(StableDiffusion):
    """The same in two precisions, each component twice."""

    VARIANTS = (None, "fp16")


class StableDiffusionHalf(StableDiffusion):
    """The same in half the width alone: all weights have `fp16` in their names."""

    VARIANTS = ("fp16",)


class Component:
    """A part of a pipeline alone, as ControlNets and autoencoders are published, with a second precision."""

    def make(self, folder, repo):
        vae = StableDiffusion().pipeline().vae
        vae.save_pretrained(repo)
        vae.half().save_pretrained(repo, variant="fp16")

    def load(self, folder, repo):
        import diffusers
        vae = diffusers.AutoencoderKL.from_pretrained(repo)
        return {"picture": vae.decode(torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)).sample}

    def put_beside(self, repo):
        papers(repo)
        junk(repo / "diffusion_pytorch_model.bin", 200_000)
        junk(repo / "diffusion_flax_model.msgpack", 200_000)


class ShardedTransformer:
    """A pipeline whose largest component comes in shards with an index of its own, in its folder."""

    def make(self, folder, repo):
        import diffusers
        transformer = diffusers.DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
            patch_size=2, num_embeds_ada_norm=10, norm_num_groups=8)
        pipeline = diffusers.DiTPipeline(
            transformer=transformer, vae=StableDiffusion().pipeline().vae, scheduler=diffusers.DDIMScheduler())
        pipeline.save_pretrained(repo, max_shard_size="100KB")
        assert len(list((repo / "transformer").glob("*-of-*.safetensors"))) > 1

    def load(self, folder, repo):
        import diffusers
        pipeline = diffusers.DiTPipeline.from_pretrained(repo)
        values = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        out = pipeline.transformer(values, timestep=torch.tensor([3]), class_labels=torch.tensor([1])).sample
        return {"out": out, "picture": pipeline.vae.decode(values).sample}

    def put_beside(self, repo):
        papers(repo)
        junk(repo / "dit-tiny.safetensors", 500_000)
        junk(repo / "transformer/diffusion_pytorch_model.bin", 300_000)


class PipelineLora:
    """A LoRA for a pipeline: one file of weights, and nothing that says what it is but its name."""

    def make(self, folder, repo):
        import diffusers
        import peft
        pipeline = StableDiffusion().pipeline()
        pipeline.save_pretrained(folder / "base")
        config = peft.LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False)
        pipeline.unet.add_adapter(config)
        layers = peft.get_peft_model_state_dict(pipeline.unet)
        diffusers.StableDiffusionPipeline.save_lora_weights(repo, unet_lora_layers=layers)

    def load(self, folder, repo):
        import diffusers
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder / "base")
        pipeline.load_lora_weights(repo)
        values = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        words = torch.linspace(-1, 1, 160).reshape(1, 5, 32)
        return {"out": pipeline.unet(values, torch.tensor(3), words).sample}

    def put_beside(self, repo):
        papers(repo)
        for name in ("image_0.png", "image_1.png", "logs/events.out.tfevents.1"):
            junk(repo / name, 50_000)
        junk(repo / "checkpoint-500/pytorch_lora_weights.safetensors", 30_000)
        junk(repo / "checkpoint-500/optimizer.bin", 60_000)
