use super::*;

fn layer(key_length: u64, value_length: u64, window: Option<u64>) -> KvLayer {
    KvLayer { heads: 1, key_length, value_length, window }
}

/// A model that needs no buffers, so that only its runtime is counted for the engine.
fn narrow(estimate: MemoryEstimate) -> MemoryEstimate {
    let widths = Widths { is_known: true, ..Widths::default() };
    MemoryEstimate { widths: Some(widths), ..estimate }
}

/// 32 layers of 8 heads of 128, as in Llama 3.1 8B.
fn llama() -> MemoryEstimate {
    let layer = KvLayer { heads: 8, ..layer(128, 128, None) };
    narrow(MemoryEstimate::new(Some(16 << 30), Ok(vec![layer; 32]), Some(131_072)))
}

#[test]
fn one_token_of_each_type() {
    let check = |name: &str, bytes: u64| {
        let kv_type: KvType = name.parse().unwrap();
        assert_eq!(llama().kv_bytes_per_token(kv_type), Some(bytes), "{kv_type}");
        assert_eq!(serde_json::to_value(kv_type).unwrap(), kv_type.as_str());
    };
    let elements = 32 * 2 * 1024;
    check("f32", elements * 4);
    check("f16", elements * 2);
    check("bf16", elements * 2);
    check("q8_0", elements / 32 * 34);
    check("q4_0", elements / 32 * 18);
    check("q4_1", elements / 32 * 20);
    check("q5_0", elements / 32 * 22);
    check("q5_1", elements / 32 * 24);
    check("iq4_nl", elements / 32 * 18);
    assert_eq!("Q8_0".parse(), Ok(KvType::Q8_0), "in any case");
    assert!("q9_0".parse::<KvType>().unwrap_err().contains("f32, f16, bf16"));
}

#[test]
fn contexts_and_sequences() {
    let per_token = 131_072;
    assert_eq!(llama().kv_bytes(8192, 1, KvType::F16), Some(8192 * per_token));
    assert_eq!(llama().kv_bytes(8192, 4, KvType::F16), Some(4 * 8192 * per_token));
    // A piece of the cache is 256 tokens, and there is at least one sequence.
    assert_eq!(llama().kv_bytes(1, 0, KvType::F16), Some(256 * per_token));
    assert_eq!(llama().kv_bytes(257, 2, KvType::F16), Some(2 * 512 * per_token));
    assert_eq!(llama().kv_bytes(u64::MAX, 1, KvType::F16), None);
    assert_eq!(llama().kv_bytes(1 << 60, 1 << 60, KvType::F16), None);
}

#[test]
fn keys_and_values_of_other_widths() {
    let estimate = MemoryEstimate::new(
        None,
        Ok(vec![layer(192, 128, None), KvLayer { heads: 0, ..layer(1, 1, None) }]),
        None,
    );
    assert_eq!(estimate.kv_bytes_per_token(KvType::F16), Some(640));
    // Blocks of 32 do not fit a head of 80, however many there are.
    let odd = MemoryEstimate::new(None, Ok(vec![KvLayer { heads: 2, ..layer(80, 80, None) }]), None);
    assert_eq!(odd.kv_bytes_per_token(KvType::F16), Some(640));
    assert_eq!(odd.kv_bytes_per_token(KvType::Q8_0), None);
    let even = MemoryEstimate::new(None, Ok(vec![KvLayer { heads: 2, ..layer(48, 48, None) }]), None);
    assert_eq!(even.kv_bytes_per_token(KvType::Q8_0), None, "96 elements are no blocks of one head");
}

#[test]
fn windows_hold_no_more_than_they_look_at() {
    let layers = vec![layer(256, 256, None), layer(256, 256, Some(1024))];
    let estimate = MemoryEstimate::new(Some(0), Ok(layers), None);
    let bytes = |ctx, parallel| estimate.kv_bytes(ctx, parallel, KvType::F16).unwrap();
    assert_eq!(bytes(1024, 1), 2 * 1024 * 1024);
    // The window, and the batch in work.
    assert_eq!(bytes(65_536, 1), (65_536 + 1536) * 1024);
    assert_eq!(bytes(65_536, 3), 3 * (65_536 + 1536) * 1024);
}

#[test]
fn what_fits() {
    let fit = |vram_bytes: u64, ctx: Option<u64>, parallel: u64| {
        let request =
            MemoryRequest { ctx, parallel, vram_bytes: Some(vram_bytes), ..MemoryRequest::default() };
        llama().fit(&request)
    };
    // 16 bits for each token in work and each token of the context, and the runtime.
    let engine = |ctx: u64| ctx * (512 + 3) * 2 + crate::engine::RUNTIME_BYTES;
    let eight = fit(24 << 30, Some(8192), 4);
    assert_eq!((eight.kv_bytes, eight.engine.unwrap().bytes), (Some(4 << 30), engine(8192)));
    let needed = (20 << 30) + engine(8192);
    assert_eq!((eight.total_bytes, eight.fits), (Some(needed), Some(true)));
    assert_eq!(fit((24 << 30) + engine(16_384), Some(8192), 4).largest_ctx, Some(16_384));
    assert_eq!(fit(needed, Some(8192), 4).fits, Some(true));
    assert_eq!(fit(needed - 1, Some(8192), 4).fits, Some(false));
    assert_eq!(fit(needed - 1, Some(8192), 4).largest_ctx, Some(8192 - 256));
    // Without a context, it is the model's own, and no more than that fits.
    assert_eq!(fit(1 << 40, None, 1).largest_ctx, Some(131_072));
    assert_eq!(fit(1 << 40, None, 1).ctx, Some(131_072));
    let none = fit(8 << 30, Some(8192), 1);
    assert_eq!((none.fits, none.largest_ctx), (Some(false), Some(0)));
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let request = MemoryRequest { vram_bytes: Some(8 << 30), ..MemoryRequest::default() };
    let estimate = MemoryEstimate::new(Some(4 << 30), Err("it has recurrent layers".to_owned()), Some(1024));
    let fit = estimate.fit(&request);
    assert_eq!((fit.fits, fit.total_bytes, fit.kv_bytes, fit.largest_ctx), (None, None, None, None));
    assert_eq!(estimate.kv_unknown(), Some("it has recurrent layers"));
    // Weights that are too many are, whatever comes on top.
    let estimate = MemoryEstimate::new(Some(9 << 30), Err(String::new()), None);
    assert_eq!(estimate.fit(&request).fits, Some(false));
    // No weights known: even a small cache may not fit.
    let estimate = narrow(MemoryEstimate::new(None, Ok(vec![layer(32, 32, None)]), Some(1024)));
    assert_eq!((estimate.fit(&request).fits, estimate.fit(&request).kv_bytes), (None, Some(131_072)));
    // Without a limit there is no answer to whether it fits.
    assert_eq!(llama().fit(&MemoryRequest::default()).fits, None);
    assert!(MemoryEstimate::new(None, Err(String::new()), None).summary().is_none());
}

#[test]
fn a_context_beyond_the_models_own_is_said_to_be() {
    let fit =
        |ctx| llama().fit(&MemoryRequest { ctx, vram_bytes: Some(1 << 40), ..MemoryRequest::default() });
    let beyond = fit(Some(131_073));
    assert!(beyond.exceeds_ctx_max, "{beyond:?}");
    // There is memory for it all the same; the model is the limit.
    assert_eq!((beyond.fits, beyond.largest_ctx, beyond.ctx_max), (Some(true), Some(131_072), Some(131_072)));
    assert!(!fit(Some(131_072)).exceeds_ctx_max && !fit(None).exceeds_ctx_max);
    // A model that names no maximum has none to exceed.
    let endless = MemoryEstimate::new(Some(1), Ok(Vec::new()), None);
    assert!(!endless.fit(&MemoryRequest { ctx: Some(1 << 40), ..MemoryRequest::default() }).exceeds_ctx_max);
}

#[test]
fn what_is_unknown_has_a_reason() {
    let check = |estimate: MemoryEstimate, ctx: Option<u64>, kv_type: KvType, expected: &str| {
        let fit = narrow(estimate).fit(&MemoryRequest {
            ctx,
            kv_type,
            vram_bytes: Some(8 << 30),
            ..MemoryRequest::default()
        });
        assert_eq!((fit.total_bytes, fit.fits, fit.reason.as_deref()), (None, None, Some(expected)));
    };
    let (known, f16) = (|| Ok(vec![layer(1024, 80, None)]), KvType::F16);
    check(
        MemoryEstimate::new(None, known(), Some(256)),
        None,
        f16,
        "it has no tensors, or some of a type whose size is not known here",
    );
    check(
        MemoryEstimate::new(Some(1), Err("it has an encoder".into()), Some(256)),
        None,
        f16,
        "it has an encoder",
    );
    // What is no model that is known here has neither; why is told once.
    check(
        MemoryEstimate::new(None, Err("it has several models".into()), None),
        None,
        f16,
        "it has several models",
    );
    check(
        MemoryEstimate::new(Some(1), known(), None),
        None,
        f16,
        "the model names no longest context, and none is given",
    );
    check(
        MemoryEstimate::new(Some(1), known(), Some(256)),
        None,
        KvType::Q8_0,
        "q8_0 keeps blocks of 32 elements, and a head's values have 80",
    );
    check(MemoryEstimate::new(Some(1), known(), None), Some(1 << 62), f16, "it is more than can be counted");
    assert_eq!(llama().fit(&MemoryRequest::default()).reason, None);
    let unwidened = MemoryEstimate::new(Some(1), known(), Some(256));
    let fit = unwidened.fit(&MemoryRequest { vram_bytes: Some(8 << 30), ..MemoryRequest::default() });
    assert_eq!((fit.total_bytes, fit.fits), (None, None));
    assert!(fit.reason.unwrap().contains("how wide its layers are is not told"));
}
