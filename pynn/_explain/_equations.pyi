EQUATIONS: dict[str, tuple[str, str, int]]
