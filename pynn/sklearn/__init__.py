"""scikit-learn's MLPClassifier and MLPRegressor, trained by pynn.

Parameters and attributes have the same names and meaning as scikit-learn's, so a program has to
change only an import. pynn adds `dropout`, `callbacks`, `class_weight`, the activations leaky_relu
and gelu, and a validation curve. `docs/sklearn.md` says where the two differ.

Needs scikit-learn: pip install 'pynn-blas[sklearn]'.

>>> from sklearn.datasets import load_digits
>>> from sklearn.model_selection import train_test_split
>>> from pynn.sklearn import MLPClassifier
>>> X, y = load_digits(return_X_y=True)
>>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
>>> classifier = MLPClassifier(random_state=0, max_iter=60, tol=1e-2).fit(X_train, y_train)
>>> classifier.score(X_test, y_test) > 0.95
True
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ImportError("pynn.sklearn needs scikit-learn: pip install 'pynn-blas[sklearn]'") from None

from pynn.sklearn._classifier import MLPClassifier
from pynn.sklearn._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
