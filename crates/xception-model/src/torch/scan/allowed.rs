//! The objects that a pickle may name.

/// Allowed modules, and in each the objects that weight files and the training notes beside weights are made of:
/// PyTorch's own list for `weights_only=True`, and values of `NumPy`, the standard library and `OmegaConf`. Each object
/// is named in full, because a package may run programs through another of its objects.
const ALLOWED: [(&str, &str); 32] = [
    ("__builtin__", BUILTINS),
    ("_codecs", "encode"),
    ("argparse", "Namespace"),
    ("builtins", BUILTINS),
    ("collections", "Counter OrderedDict defaultdict deque"),
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("datetime", "date datetime time timedelta timezone"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    (
        "numpy",
        "bool bool_ dtype float16 float32 float64 int16 int32 int64 int8 ndarray uint16 uint32 uint64 uint8",
    ),
    ("numpy._core.multiarray", "_reconstruct scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy.core.multiarray", "_reconstruct scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    (
        "numpy.dtypes",
        "BoolDType Float16DType Float32DType Float64DType Int16DType Int32DType Int64DType Int8DType UInt8DType",
    ),
    ("omegaconf.base", "ContainerMetadata Metadata Node"),
    ("omegaconf.dictconfig", "DictConfig"),
    ("omegaconf.listconfig", "ListConfig"),
    (
        "omegaconf.nodes",
        "AnyNode BooleanNode FloatNode IntegerNode StringNode",
    ),
    ("pathlib", PATHS),
    ("pathlib._local", PATHS),
    (
        "torch",
        "Size Tensor UntypedStorage channels_last contiguous_format device preserve_format strided",
    ),
    ("torch", STORAGES),
    ("torch", TENSORS),
    ("torch", DTYPES),
    (
        "torch._utils",
        "_rebuild_device_tensor_from_numpy _rebuild_parameter _rebuild_parameter_with_state _rebuild_tensor \
         _rebuild_tensor_v2 _rebuild_tensor_v3",
    ),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.nn.parameter", "Buffer Parameter"),
    ("torch.serialization", "_get_layout"),
    ("torch.storage", "TypedStorage UntypedStorage"),
    ("typing", "Any Dict List Optional Tuple Union"),
];
const BUILTINS: &str = "bool bytearray bytes complex dict float frozenset int list long set slice str tuple unicode";
const PATHS: &str = "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath";
const STORAGES: &str = "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage \
                        DoubleStorage FloatStorage HalfStorage IntStorage LongStorage ShortStorage";
const TENSORS: &str = "BFloat16Tensor BoolTensor ByteTensor CharTensor ComplexDoubleTensor ComplexFloatTensor \
                       DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor";
const DTYPES: &str = "bfloat16 bool complex128 complex32 complex64 double float float16 float32 float64 float8_e4m3fn \
                      float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz half int int16 int32 int64 int8 long qint32 qint8 \
                      quint8 short uint16 uint32 uint64 uint8";

pub(super) fn is_allowed(module: &str, object: &str) -> bool {
    let mut allowed = ALLOWED.iter().filter(|(known, _)| *known == module);
    allowed.any(|(_, objects)| objects.split_ascii_whitespace().any(|known| known == object))
}
