"""Compile all kernels now, for example while an image is built: python -m nemo_curator.kernels."""

import time

from nemo_curator.kernels.compile import warmup


def main() -> None:
    start = time.perf_counter()
    names = warmup()
    print(f"{len(names)} kernels are compiled ({time.perf_counter() - start:.1f} s): {', '.join(names)}")


if __name__ == "__main__":
    main()
