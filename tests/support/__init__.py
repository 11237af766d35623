"""What tests share: models, records, processes, rooms to run in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
