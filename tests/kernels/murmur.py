"""MurmurHash3 and MinHash written down as plainly as they are defined, to compare kernels with."""

MASK_32, MASK_64 = 2**32 - 1, 2**64 - 1


def turned(value, bits, width):
    return (value << bits | value >> (width - bits)) & (1 << width) - 1


def murmur_32(data, seed):
    """MurmurHash3_x86_32."""
    value = seed
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & MASK_32
        value ^= turned(word, 15, 32) * 0x1B873593 & MASK_32
        if at + 4 <= len(data):
            value = turned(value, 13, 32) * 5 + 0xE6546B64 & MASK_32
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK_32
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK_32
    return value ^ value >> 16


def murmur_128(data, seed):
    """MurmurHash3_x64_128 as two numbers; both halves begin with the seed."""
    first, second = 0x87C37B91114253D5, 0x4CF5AD432745937F
    one = two = seed
    for at in range(0, len(data), 16):
        low = int.from_bytes(data[at : at + 8], "little") * first & MASK_64
        high = int.from_bytes(data[at + 8 : at + 16], "little") * second & MASK_64
        one ^= turned(low, 31, 64) * second & MASK_64
        is_whole = at + 16 <= len(data)
        if is_whole:
            one = (turned(one, 27, 64) + two) * 5 + 0x52DCE729 & MASK_64
        two ^= turned(high, 33, 64) * first & MASK_64
        if is_whole:
            two = (turned(two, 31, 64) + one) * 5 + 0x38495AB5 & MASK_64
    one, two = one ^ len(data), two ^ len(data)
    one = one + two & MASK_64
    two = two + one & MASK_64
    one, two = ended(one), ended(two)
    one = one + two & MASK_64
    return one, two + one & MASK_64


def ended(value):
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & MASK_64
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & MASK_64
    return value ^ value >> 33


def shingles(text, window):
    """All windows of so many characters; a shorter text is one."""
    return {text[at : at + window] for at in range(max(len(text) - window + 1, 1))} if text else set()


def jaccard(one, other):
    return len(one & other) / len(one | other) if one | other else 1.0


def minhash(text, window, permutations, bits):
    """The signature of one text, as cuDF defines it."""
    mask = 2**bits - 1
    seed = int(permutations[0][0])
    if bits == 32:
        hashes = [murmur_32(each.encode(), seed) for each in shingles(text, window)]
    else:
        hashes = [murmur_128(each.encode(), seed)[0] for each in shingles(text, window)]
    hashes = [max(value, 1) for value in hashes]
    return [
        min(((value * int(a) + int(b) & mask) % (2**61 - 1) & mask for value in hashes), default=0)
        for a, b in permutations
    ]
