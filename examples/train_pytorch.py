"""Train a small PyTorch network on a distilled set, and test it on real images.

The set first, then the network:

    stillhouse distill --dataset=digits --nolearn_labels --ipc=10 --steps=300 --out=runs/digits-100
    python examples/train_pytorch.py runs/digits-100 digits
"""

import sys

import torch
from torch import nn

import stillhouse as sh

distilled = sh.load(sys.argv[1])  # a run folder, or a file
dataset = sh.load_dataset(sys.argv[2])
height, width, channels = dataset.image_shape

torch.manual_seed(0)
network = nn.Sequential(
    *(nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
    *(nn.Flatten(), nn.Linear(64 * (height // 4) * (width // 4), dataset.num_classes)),
)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
batches = torch.utils.data.DataLoader(distilled.to_torch(), batch_size=50, shuffle=True)
for _epoch in range(200):
    for images, labels in batches:
        optimiser.zero_grad()
        nn.functional.mse_loss(network(images), labels).backward()
        optimiser.step()

# Real images have to look as the distilled ones do: the set carries its own transform.
x = torch.from_numpy(distilled.transform(dataset.x_test)).permute(0, 3, 1, 2)
with torch.no_grad():
    right = network(x).argmax(1).numpy() == dataset.y_test
print(f"trained on {len(distilled.images)} images: test accuracy {right.mean():.3f}")
