# SPDX-License-Identifier: Apache-2.0
"""A folder of images -> which file to ship.

`images/` has one folder for each class. Everything is trained, quantized, written, run and measured; the verdict names
the smallest and the fastest file that lose at most a point of accuracy.

Run: python examples/own_images.py IMAGES [--model mobilenet_v2 --image-size 128]
"""

import argparse

import lowbit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="folder with a folder for each class")
    parser.add_argument("--model", default="small_cnn", help="small_cnn, or a name of keras.applications")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", default="runs/own_images")
    asked = parser.parse_args()

    comparison = lowbit.compare(
        asked.images,
        asked.model,
        recipes="float32,dynamic-w8,ptq-w8a8,float32-finetuned,qat-w8a8",
        image_size=asked.image_size,
        epochs=asked.epochs,
        out=asked.out,
    )
    for row in comparison.rows:
        if row.status == "ok":
            print(f"{row.recipe:20} {row.accuracy:6.1%} {row.size_bytes / 1e3:9.1f} kB {row.latency_ms.median:8.3f} ms")
        else:
            print(f"{row.recipe:20} {row.status}: {row.reason}")
    print("smallest that is good enough:", comparison.best("size"))
    print("fastest that is good enough:", comparison.best("latency"))
    print("the page for the browser:", comparison.folder / "report.html")


if __name__ == "__main__":
    main()
