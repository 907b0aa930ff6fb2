"""Which files are pictures and which are recordings, by how their names end."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
SOUNDS_DIRECT = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".opus", ".au")
)
SOUNDS_THROUGH_FFMPEG = frozenset(
    (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mka", ".mkv", ".mov", ".ac3", ".ape", ".wv")
) | {".xm", ".it", ".mod", ".s3m"}
SOUNDS = SOUNDS_DIRECT | SOUNDS_THROUGH_FFMPEG
