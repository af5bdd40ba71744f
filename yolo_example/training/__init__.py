"""How the project's own detector was trained. Needs PyTorch; nothing else imports this.

python -m yolo_example.training.train --help
"""
