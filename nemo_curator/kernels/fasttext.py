"""What a supervised fastText model makes of documents: words, parts of words and runs of words, as vectors of a mean.

The loops follow the C++ of fastText (Joulin et al., "Bag of Tricks for Efficient Text Classification") in what they
hash and how, so that its model files can be read; sums are taken word by word, and a word that comes again is not
taken apart again.
"""

from __future__ import annotations

import numpy as np

from nemo_curator.kernels.compile import kernel

END = np.frombuffer(b"</s>", np.uint8)
"""What stands for the end of a line. Where a document has it in its midst, it is passed over; the C++ stops there."""
LABEL = np.frombuffer(b"__label__", np.uint8)
MEMORY = 1 << 20
"""How many numbers are kept of words that have been summed. A word takes the place of another with its last bits."""
SOFTMAX, TREE, BINARY = 0, 1, 2
"""How the probability of a label is computed."""
LITTLE = np.float32(1e-5)
"""What fastText adds to a probability before it takes the logarithm."""


@kernel("uint8[::1], int64, int64")
def find_entries(data, at, count):
    """Find where the words of a dictionary begin and end, how often each was seen, and where the dictionary ends.

    The last value is -1 where the data ends before it.
    """
    starts, ends, seen = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    for row in range(count):
        starts[row] = at
        while at < data.size and data[at] != 0:
            at += 1
        ends[row] = at
        if at + 10 > data.size:
            return starts, ends, seen, -1
        number = np.int64(0)
        for place in range(8):
            number |= np.int64(data[at + 1 + place]) << (8 * place)
        seen[row] = number
        at += 10
    return starts, ends, seen, at


@kernel("uint8[::1], int64[::1], int64[::1]")
def hash_table(data, starts, ends):
    """Make a table in which `_find` finds the number of a word; -1 where there is none."""
    size = 1
    while size < 2 * starts.size + 1:
        size *= 2
    table = np.full(size, -1, np.int32)
    for row in range(starts.size):
        at = np.int64(_hash(data, starts[row], ends[row])) & (size - 1)
        while table[at] >= 0:
            at = (at + 1) & (size - 1)
        table[at] = row
    return table


@kernel(
    "uint8[::1], int64[::1], uint8[::1], int64[::1], int64[::1], int32[::1], uint64[::1], int64[::1], "
    "float32[:,::1], int64[::1]"
)
def mean_vectors(data, offsets, names, starts, ends, table, kept, ranks, matrix, settings):
    """Average the vectors of all words, parts and runs of each document; also return how many words there were.

    `settings`: numbers of words, of buckets, and of words in a run; shortest and longest part; whether buckets have
    been pruned, in which case `kept` has a bit for each and `ranks` how many are left before every 64 of them; and the
    number and the hash of the word that ends a line.
    """
    ngrams, dims = settings[2], matrix.shape[1]
    means, counts = np.zeros((offsets.size - 1, dims), np.float32), np.zeros(offsets.size - 1, np.int64)
    longest = np.max(np.diff(offsets)) if counts.size else 0
    hashes, bracketed = np.empty(longest // 2 + 2, np.int32), np.empty(longest + 2, np.uint8)
    slots = 1
    while 2 * slots * dims <= MEMORY and slots < offsets[-1] - offsets[0]:
        slots *= 2
    known_at, known_size = np.full(slots, -1, np.int64), np.zeros(slots, np.int64)
    known_parts, known_sums = np.zeros(slots, np.int64), np.zeros((slots, dims), np.float32)
    for row in range(counts.size):
        at, stop, seen, parts = offsets[row], offsets[row + 1], 0, 0
        while at < stop:
            if _is_separator(data[at]):
                at += 1
                continue
            start, code = at, np.uint32(2166136261)
            while at < stop and not _is_separator(data[at]):
                code = _hashed(code, data[at])
                at += 1
            if _equal(data, start, at, END, 0, END.size):
                continue
            slot = np.int64(code) & (slots - 1)
            before = known_at[slot]
            if before < 0 or not _equal(data, start, at, data, before, before + known_size[slot]):
                known_at[slot], known_size[slot] = start, at - start
                word = _find(data, start, at, names, starts, ends, table)
                known_parts[slot] = _sum_parts(
                    data, start, at, word, kept, ranks, matrix, settings, bracketed, known_sums[slot]
                )
            if known_parts[slot] < 0:
                continue
            parts += known_parts[slot]
            _add(means[row], known_sums[slot])
            hashes[seen] = np.int32(code)
            seen += 1
        counts[row] = seen
        hashes[seen] = settings[7]
        if settings[6] >= 0:
            parts += 1
            _add(means[row], matrix[settings[6]])
        if ngrams > 1:
            parts += _add_runs(hashes[: seen + 1], kept, ranks, matrix, settings, means[row])
        for dim in range(dims):
            means[row, dim] /= np.float32(max(parts, 1))
    return means, counts


@kernel("float32[:,::1], float32[:,::1], int64[:,::1], int64")
def best_labels(means, outputs, tree, loss):
    """Return the most likely label of each document, and its probability as fastText says it, which is a bit more."""
    labels, found = np.zeros(means.shape[0], np.int64), np.zeros(means.shape[0], np.float32)
    scores = np.empty(outputs.shape[0], np.float32)
    todo, logs = np.empty(tree.shape[0] + 1, np.int64), np.empty(tree.shape[0] + 1, np.float32)
    for row in range(labels.size):
        if loss == TREE:
            labels[row], found[row] = _best_leaf(means[row], outputs, tree, todo, logs)
            continue
        best = 0
        for label in range(scores.size):
            score = _dot(means[row], outputs[label])
            scores[label] = _rough_sigmoid(score) if loss == BINARY else score
            if scores[label] >= scores[best]:  # of equals, the last
                best = label
        labels[row], found[row] = best, scores[best] + LITTLE
        if loss == SOFTMAX:
            total = np.float32(0)
            for label in range(scores.size):
                total += np.exp(scores[label] - scores[best])
            found[row] = np.float32(1) / total + LITTLE
    return labels, found


@kernel
def _is_separator(byte):
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@kernel
def _hashed(code, byte):
    # the C++ takes bytes for signed numbers
    return np.uint32(np.uint64(code ^ np.uint32(np.int32(np.int8(byte)))) * np.uint64(16777619) & np.uint64(0xFFFFFFFF))


@kernel
def _hash(data, start, end):
    code = np.uint32(2166136261)
    for at in range(start, end):
        code = _hashed(code, data[at])
    return code


@kernel
def _equal(data, start, end, other, other_start, other_end):
    at, size = 0, end - start
    if size != other_end - other_start:
        return False
    while at < size and data[start + at] == other[other_start + at]:
        at += 1
    return at == size


@kernel
def _find(data, start, end, names, starts, ends, table):
    at = np.int64(_hash(data, start, end)) & (table.size - 1)
    while table[at] >= 0:
        if _equal(data, start, end, names, starts[table[at]], ends[table[at]]):
            return np.int64(table[at])
        at = (at + 1) & (table.size - 1)
    return np.int64(-1)


@kernel
def _add(vector, other):
    for dim in range(vector.size):
        vector[dim] += other[dim]


@kernel
def _dot(vector, other):
    total = np.float32(0)
    for dim in range(vector.size):
        total += vector[dim] * other[dim]
    return total


@kernel
def _sum_parts(data, start, end, word, kept, ranks, matrix, settings, bracketed, total):
    """Sum the vectors of a word and of its parts; -1 if it is a label."""
    if word >= settings[0] or (word < 0 and _equal(data, start, min(end, start + LABEL.size), LABEL, 0, LABEL.size)):
        return -1
    total[:] = np.float32(0)
    parts = 0
    if word >= 0:
        _add(total, matrix[word])
        parts += 1
    if settings[4] > 0:
        bracketed[0], size = 60, end - start + 2
        for at in range(end - start):
            bracketed[at + 1] = data[start + at]
        bracketed[size - 1] = 62
        for first in range(size):
            if bracketed[first] & 0xC0 != 0x80:
                parts += _add_parts_from(first, bracketed[:size], kept, ranks, matrix, settings, total)
    return parts


@kernel
def _add_parts_from(first, word, kept, ranks, matrix, settings, total):
    at, chars, parts, code = first, 0, 0, np.uint32(2166136261)
    while at < word.size and chars < settings[4]:
        code = _hashed(code, word[at])
        at += 1
        while at < word.size and word[at] & 0xC0 == 0x80:
            code = _hashed(code, word[at])
            at += 1
        chars += 1
        if chars >= settings[3] and not (chars == 1 and (first == 0 or at == word.size)):
            parts += _add_bucket(np.int64(code) % settings[1], kept, ranks, matrix, settings, total)
    return parts


@kernel
def _add_runs(hashes, kept, ranks, matrix, settings, total):
    parts = 0
    for first in range(hashes.size):
        code = np.uint64(np.int64(hashes[first]))
        for last in range(first + 1, min(hashes.size, first + settings[2])):
            code = code * np.uint64(116049371) + np.uint64(np.int64(hashes[last]))
            parts += _add_bucket(np.int64(code % np.uint64(settings[1])), kept, ranks, matrix, settings, total)
    return parts


@kernel
def _add_bucket(bucket, kept, ranks, matrix, settings, total):
    if settings[5]:
        # a bit for each bucket, and counts of them, stay in the cache where a table of rows would not
        bits, bit = kept[bucket >> 6], np.uint64(bucket & 63)
        if not bits >> bit & np.uint64(1):
            return 0
        bucket = ranks[bucket >> 6] + _count_bits(bits & ((np.uint64(1) << bit) - np.uint64(1)))
    _add(total, matrix[settings[0] + bucket])
    return 1


@kernel
def _count_bits(bits):
    bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
    bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(bits * np.uint64(0x0101010101010101) >> np.uint64(56))


@kernel
def _best_leaf(mean, outputs, tree, todo, logs):
    """Walk down the tree of labels, where an inner node says how likely it goes on to the right."""
    count, best, most = 1, np.int64(-1), np.float32(-np.inf)
    todo[0], logs[0] = tree.shape[0] - 1, np.float32(0)
    while count:
        count -= 1
        node, log = todo[count], logs[count]
        if log < most:
            continue
        if tree[node, 0] < 0:
            best, most = node, log
            continue
        right = np.float32(1) / (np.float32(1) + np.exp(-_dot(mean, outputs[node - outputs.shape[0]])))
        todo[count], logs[count] = tree[node, 1], log + np.log(right + LITTLE)
        todo[count + 1], logs[count + 1] = tree[node, 0], log + np.log(np.float32(1) - right + LITTLE)
        count += 2
    return best, np.exp(most)


@kernel
def _rough_sigmoid(value):
    """The sigmoid as fastText looks it up: in steps of 1/32, between -8 and 8."""
    if value < -8:
        return np.float32(0)
    if value > 8:
        return np.float32(1)
    step = np.floor((value + np.float32(8)) * np.float32(32)) / np.float32(32) - np.float32(8)
    return np.float32(1) / (np.float32(1) + np.exp(-step))
