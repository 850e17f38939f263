"""Numbers shared by several rooms, each with its origin."""

EARTH_RADIUS_KM = 6371.0  # mean radius, IUGG
NS_PER_S = 1_000_000_000

# Probability content of the regions we report: 68 % means 0.68, not erf(1/sqrt 2).
REGION_LEVELS = (0.68, 0.95)

PHASES = ("P", "S")
