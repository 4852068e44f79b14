"""Words of other libraries, and pynn's words for them: PyTorch, Keras, scikit-learn and JAX.

They are compared without capitals and underscores: "BatchNorm2d" and "batch_norm2d" are one.
"""

from __future__ import annotations

ARGUMENTS = {
    "learning_rate": "lr learningrateinit eta stepsize rate",
    "rate": "lr learningrate p prob probability initialvalue initvalue baselr maxlr peakvalue",
    "epochs": "nepochs numepochs nbepoch epoch maxiter niter maxepochs iterations",
    "batch_size": "batchsize bs minibatch minibatchsize batch",
    "optimizer": "optim opt optimiser solver tx",
    "validation": "validationdata validationsplit validationfraction evalset valdata",
    "early_stopping": "earlystop",
    "checkpoint": "checkpointpath modelcheckpoint",
    "weight_decay": "l2 alpha decay wd kernelregularizer l2reg",
    "max_gradient_norm": "clipnorm globalclipnorm maxnorm gradclip clip maxgradnorm",
    "nesterov": "nesterovsmomentum",
    "beta1": "b1",
    "beta2": "b2",
    "eps": "epsilon",
    "outputs": "units outfeatures width features size nout outputdim neurons",
    "features": "infeatures inputdim inputshape inputsize shape numfeatures x data inputs input",
    "labels": "y targets target ytrue",
    "filters": "outchannels channels nfilters features",
    "size": "kernelsize kernel poolsize windowshape kernelshape",
    "stride": "strides windowstrides subsampling",
    "groups": "featuregroupcount",
    "init": "kernelinit kernelinitializer initializer weightinit winit",
    "slope": "negativeslope alpha leak",
    "label_smoothing": "smoothing",
    "patience": "niternochange",
    "min_delta": "tol",
    "restore_best": "restorebestweights",
    "monitor": "metric",
    "every": "stepsize savefreq",
    "factor": "gamma decayrate",
    "steps": "tmax totalsteps decaysteps warmupsteps transitionsteps",
    "least": "etamin minlr endvalue",
    "seed": "randomstate key rng rngs",
    "path": "file filename fname filepath f",
    "rotate": "degrees rotation angle",
    "shift": "translate widthshiftrange heightshiftrange",
    "scale": "zoom zoomrange",
    "sample_weight": "weights weight sampleweights",
    "class_weight": "classweights",
    "root": "datadir dir folder",
    "memory": "historysize memorysize maxcor",
    "tolerance": "tol gtol tolerancegrad",
    "max_evaluations": "maxeval maxfun maxls",
    "clip": "clipvalue",
}
"""For an argument of pynn what others call it."""

OF_OPTIMIZERS = "is an argument of the optimizer: fit(..., optimizer=pynn.Adam({}=...))"
OF_BUILD = "is an argument of build, which draws the weights: .build(seed=0)"
ELSEWHERE = {
    "lr learningrate": OF_OPTIMIZERS.format("learning_rate"),
    "momentum": "is an argument of the optimizer: optimizer=pynn.SGD(momentum=0.9)",
    "weightdecay l2 alpha": OF_OPTIMIZERS.format("weight_decay"),
    "betas": "is two arguments: beta1=0.9, beta2=0.999",
    "activation nonlinearity": "is a layer of its own: .dense(64).relu()",
    "bias usebias": "is no choice: every dense and conv2d layer has a bias",
    "inchannels infeatures inputdim inputshape inputsize numfeatures": "is not needed: a layer"
    " knows it from the layer before, and the first from .input(...)",
    "loss criterion lossfunction": "is the end of the chain: .softmax_cross_entropy(),"
    " .mean_squared_error() or .binary_cross_entropy()",
    "verbose": "is progress=True in fit; else pynn prints nothing",
    "metrics metric": "is not needed: fit and evaluate give the loss and the accuracy, and"
    " evaluate(..., per_class=True) the figures of each class",
    "callbacks callback": "is on_epoch=function in fit; early_stopping= and checkpoint= are"
    " arguments of their own",
    "patience": "is an argument of early stopping: fit(...,"
    " early_stopping=pynn.EarlyStopping(patience=5))",
    "scheduler lrscheduler schedule": "is the learning rate itself: optimizer=pynn.SGD("
    "learning_rate=pynn.schedules.Cosine(0.1, steps=900))",
    "seed randomstate key rng rngs": OF_BUILD,
    "device dtype": "is no choice: pynn computes in float32 on the CPU",
    "njobs workers numworkers numthreads": "is set for all of pynn: pynn.set_num_threads(4)",
    "droplast": "is no choice: the last, smaller batch is trained on, too",
    "name": "is not needed: parameters are named by their place, as in 'dense1.weight'",
    "inplace training": "is not needed: pynn does it by itself",
    "params modelparameters": "is not needed: fit(..., optimizer=pynn.Adam()) gives the"
    " optimizer its model",
    "amsgrad dampening": "is no choice: pynn's optimizers have no such variant",
    "mode": "is not needed: pynn knows that a loss shall fall, and that an accuracy shall rise",
    "stepsperepoch": "is not needed: an epoch is all examples, in batches of batch_size",
}
"""What to say of an argument where no argument of the call stands for it."""

OF_FIT = "is an argument of fit: model.fit(..., {})"
NO_BATCHES = {"batchsize bs": "is not needed: pynn divides the examples into batches by itself"}
OF_CALLS = {
    "build": {
        "optimizer optim opt": OF_FIT.format("optimizer=pynn.Adam()"),
        "lr learningrate": OF_FIT.format("optimizer=pynn.Adam(learning_rate=0.001)"),
        "epochs batchsize validation": OF_FIT.format("epochs=5, batch_size=128, validation=0.1"),
    },
    "predict": NO_BATCHES,
    "predict_proba": NO_BATCHES,
    "evaluate": NO_BATCHES,
    "softmax_cross_entropy": {
        "weight classweight": OF_FIT.format("class_weight={0: 1.0, 1: 5.0}"),
        "fromlogits": "is not needed: the last layer's outputs always are logits",
        "ignoreindex": "is no choice: leave those examples out, or give them a weight of 0",
        "reduction": "is no choice: the loss is the mean over the examples of a batch",
    },
    "binary_cross_entropy": {
        "fromlogits": "is not needed: the last layer's outputs always are logits",
        "weight posweight": OF_FIT.format("sample_weight=weights"),
    },
    "partial_fit": {
        "classes": "is not needed: each output is a class, and model.classes = names gives them"
        " names"
    },
    "LBFGS": {
        "lr learningrate": "is not needed: a line search finds how far each step goes",
        "maxiter": "is epochs in fit, as an epoch is one step: model.fit(..., epochs=100,"
        " optimizer=pynn.LBFGS())",
        "linesearchfn": "is not needed: the search always fulfils the strong Wolfe conditions",
    },
    "layer_norm": {"normalizedshape": "is not needed: a layer knows it from the layer before"},
}
"""The same for single calls; this is looked at first."""

OF_NUMBERS = {
    "dense": "a layer knows its inputs from the layer before, so give the outputs alone: .dense(8)",
    "conv2d": "a layer knows its channels from the layer before, so give filters and size, and the"
    " others by name: .conv2d(16, 3, stride=2)",
    "input": "a shape is one argument, with channels first: .input((1, 28, 28))",
}
"""What to say of a call with too many arguments, if the first of them is a number."""
OF_OBJECTS = {
    "SGD Adam AdamW LBFGS": "fit gives the optimizer its model: model.fit(...,"
    " optimizer=pynn.Adam(learning_rate=0.001))",
}
"""The same for other objects."""

INITS = {
    "he": "kaiming kaimingnormal kaiminguniform henormal heuniform msra",
    "xavier": "glorot glorotuniform glorotnormal xavieruniform xaviernormal",
}
"""For the names of distributions what others call them."""

STEPS = {
    "input": "Input InputLayer input_shape",
    "standardize": "StandardScaler RobustScaler Normalization normalize scaler rescaling",
    "dense": "Dense Linear fc fully_connected affine hidden",
    "conv2d": "Conv conv convolution convolution2d Conv1d",
    "max_pool2d": "maxpool maxpooling2d maxpooling pool2d pool",
    "avg_pool2d": "avgpool averagepooling2d averagepool2d meanpool",
    "global_avg_pool": "globalaveragepooling2d adaptiveavgpool2d globalavgpool2d",
    "batch_norm": "batchnorm2d batchnorm1d batchnormalization bn",
    "layer_norm": "layernormalization ln",
    "flatten": "reshape view ravel",
    "silu": "swish",
    "leaky_relu": "prelu rrelu",
    "sigmoid": "logistic",
    "dropout": "dropout2d spatialdropout2d",
    "softmax_cross_entropy": "crossentropy crossentropyloss categoricalcrossentropy nllloss"
    " sparsecategoricalcrossentropy softmaxcrossentropywithintegerlabels",
    "poisson": "poissonnllloss poissonloss",
    "mean_squared_error": "mse mseloss l2loss squarederror",
    "binary_cross_entropy": "bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy",
}
SOFTMAX = (
    "the loss contains it: end the chain with .softmax_cross_entropy(); predict_proba gives"
    " probabilities"
)
NO_COMPILE = (
    "nothing is compiled: the loss ends the chain, .build() makes the model, and fit takes the"
    " optimizer"
)
OF_CHAINS = {
    "softmax logsoftmax": SOFTMAX,
    "compile": NO_COMPILE,
    "add append": "a layer is added by its own name, as in .dense(64)",
    "activation": "each has a name of its own, as in .relu()",
    "lstm gru rnn embedding attention multiheadattention transformer": "pynn has no such layers:"
    " its networks are chains of dense layers and convolutions",
    "to cuda gpu": "pynn computes on the CPU, and needs no such call",
    "loss": "each has a name of its own, as in .softmax_cross_entropy()",
}
MODELS = {
    "fit": "train trainer learn fit_generator",
    "partial_fit": "train_on_batch train_step",
    "evaluate": "score test test_on_batch accuracy validate validation",
    "predict": "predict_classes infer predict_on_batch",
    "predict_proba": "softmax predict_probabilities probabilities",
    "parameters": "state_dict weights get_weights named_parameters params coefs_ intercepts_",
    "parameter_count": "count_params num_parameters n_params",
    "epochs_trained": "n_iter_ n_epochs epochs",
    "save": "save_model save_weights dump to_disk",
    "export_onnx": "to_onnx onnx",
    "summary": "layers modules children info describe",
    "copy": "clone clone_model deepcopy",
    "reset": "reset_parameters reset_states reinitialize",
    "freeze": "requires_grad requires_grad_ trainable set_trainable",
}
OF_MODELS = {
    "forward apply callfn decisionfunction outputsof": "call the model itself: model(features)",
    "compile": NO_COMPILE,
    "add append dense relu": "a model has all its layers; they are added to the chain, before"
    " .build()",
    "eval": "nothing is to be switched: predict and evaluate leave dropout out by themselves",
    "backward zerograd step": "fit and partial_fit do it; model.explain(features, labels)"
    " shows the gradients of a step",
    "grad gradients gradient": "model.explain(features, labels) shows the gradients of a step",
    "to cuda cpu gpu float": "pynn computes in float32 on the CPU, and needs no such call",
    "load loadstatedict loadweights setweights loadmodel": "pynn.load(path) makes a model of a"
    " file, and model.parameters['dense1.weight'][...] = array changes a weight",
    "history losscurve loss": "fit returns it: history = model.fit(...)",
    "lr learningrate optimizer optim": "it belongs to the optimizer, which each call of fit takes:"
    " model.fit(..., optimizer=pynn.Adam(learning_rate=0.001))",
    "plot plotmodel": "history.plot() draws a training, and pynn.plots.weights(model) the"
    " weights of the first layer",
}
METRICS = {
    "loss": "losses train_loss loss_curve loss_curve_",
    "accuracy": "acc train_accuracy train_acc categorical_accuracy sparse_categorical_accuracy",
    "val_loss": "validation_loss test_loss",
    "val_accuracy": "val_acc validation_accuracy validation_scores test_accuracy",
    "mean_absolute_error": "mae",
    "val_mean_absolute_error": "val_mae",
    "r2": "r2_score rsquared",
    "to_frame": "to_dataframe dataframe to_pandas",
    "epochs": "epoch n_epochs",
    "plot": "plot_loss curves show",
}
OF_HISTORIES = {
    "history metrics": "the metrics are attributes of their own, as in history.loss;"
    " history.to_dict() has them by name",
}
OF_EVALUATIONS = {
    "confusion confusionmatrix precision recall f1 f1score": "evaluate(..., per_class=True) gives"
    " the figures of each class",
    "score": "the share of right predictions is accuracy; that of a regression is r2",
}
MODULE = {
    "Builder": "sequential module network net mlp",
    "SGD": "gradientdescent",
    "Adam": "adamax nadam rmsprop adagrad optim optimizers",
    "load": "loadmodel read open",
    "sklearn": "mlpclassifier mlpregressor",
    "datasets": "data dataset utils",
    "schedules": "lrscheduler scheduler callbacks",
    "set_num_threads": "setthreads numthreads",
}
OF_MODULE = {
    "nn layers keras functional linen dense linear conv2d dropout relu batchnorm": "layers are"
    " methods of the chain: pynn.Builder().input(4).dense(8).relu()",
    "dataloader tensordataset": "fit takes arrays, and batch_size=128 for batches of them",
    "tensor array variable": "pynn takes NumPy's arrays as they are",
    "softmax crossentropyloss mseloss losses": "the loss ends the chain, as in"
    " .softmax_cross_entropy()",
    "grad valueandgrad jit vmap": "fit computes the gradients; model.explain shows those of a step",
    "device cuda": "pynn computes on the CPU, and needs no such call",
    "manualseed seed randomseed random setseed setrandomseed rng": OF_BUILD.replace(
        "is an", "the seed is an"
    ),
    "save savemodel dump": "a model saves itself: model.save(path); pynn.load(path) makes it again",
    "fit train trainer": "a model trains itself: model.fit(features, labels, epochs=5)",
    "traintestsplit randomsplit": "fit holds examples out by itself: fit(..., validation=0.2); and"
    " sklearn.model_selection.train_test_split works with pynn, too",
    "standardscaler normalize scaler preprocessing": "it is a layer, behind the input:"
    " pynn.Builder().input(4).standardize()",
    "onehotencoder labelencoder tocategorical onehot": "labels are integers, or text whose classes"
    " the model learns; pynn.Columns takes columns of text among the features",
    "nograd inferencemode eval": "it is not needed: predict and evaluate never compute gradients",
    "metrics accuracyscore accuracy": "model.evaluate(features, labels) gives the loss and the"
    " accuracy, and per_class=True the figures of each class",
    "Modelcheckpoint checkpoint": "it is an argument of fit: fit(..., checkpoint=path)",
}
MODULES = {
    "schedules": (
        {
            "StepDecay": "steplr step multisteplr exponentiallr exponentialdecay piecewiseconstant",
            "Cosine": "cosineannealinglr cosinedecay cosineannealing cosineannealingwarmrestarts",
            "OneCycle": "onecyclelr cosineonecycleschedule",
            "WarmUp": "linearlr linear warmupcosinedecayschedule linearschedule",
            "Constant": "constantlr constantschedule",
        },
        {
            "reducelronplateau": "no schedule sees the loss; fit(...,"
            " early_stopping=pynn.EarlyStopping(patience=5)) watches it",
            "lambdalr learningratescheduler": "any function of the number of a step is a schedule:"
            " pynn.SGD(learning_rate=lambda step: 0.1 * 0.99**step)",
        },
    ),
    "datasets": (
        {
            "mnist": "load_mnist fetch_mnist get_mnist fetch_openml",
            "images": "ImageFolder image_dataset_from_directory flow_from_directory folder",
            "load": "load_data",
            "read_idx": "load_idx idx",
            "write_idx": "save_idx",
        },
        {
            "fashionmnist emnist kmnist": "its files have MNIST's layout, which"
            " pynn.datasets.load(directory) reads",
            "cifar10 cifar100 imagenet svhn": "pynn downloads MNIST alone;"
            " pynn.datasets.images(directory) reads a folder of images for each class",
            "loadiris loaddigits loadwine loadbreastcancer loaddiabetes makeclassification"
            " makeregression makemoons fetchcaliforniahousing": "it is one of scikit-learn's:"
            " sklearn.datasets, whose arrays fit takes",
            "dataloader tensordataset": "fit takes arrays, and batch_size=128 for batches of them",
        },
    ),
    "formats": (
        {"pytorch": "torch pt pth state_dict", "c": "c99 cpp csource", "nn_rust": "rust"},
        {
            "safetensors pynn": "these are pynn's own files: model.save(path) and pynn.load(path)",
            "keras h5 tensorflow tflite joblib": "pynn has no such files; pynn.formats.onnx.save"
            " writes what most programs read",
            "pickle": "pickle.dump(model, file) works as it does for other objects",
        },
    ),
    "models": (
        {"lenet": "lenet5 lenet_5", "small_cnn": "cnn simple_cnn convnet"},
        {
            "resnet resnet18 resnet50 vgg16 mobilenet efficientnet": "pynn's networks are chains"
            " without branches, such as pynn.models.lenet() and small_cnn()",
            "mlp sequential": "pynn.Builder().input(4).dense(8).relu() is a chain of your own",
        },
    ),
    "plots": (
        {
            "history": "plot_history loss_curve learning_curve curves loss",
            "confusion_matrix": "plot_confusion_matrix ConfusionMatrixDisplay confusion",
            "predicted_against_true": "PredictionErrorDisplay scatter parity",
            "weights": "filters kernels coefs",
            "feature_maps": "activations featuremaps",
            "worst_mistakes": "mistakes errors misclassified",
        },
        {
            "show plot savefig": "each function returns its figure, which a notebook shows; a path"
            " writes it: pynn.plots.history(history, 'run.png')",
        },
    ),
    "images": (
        {"digits": "digit find_digits"},
        {
            "open read imread load loadimg": "pynn.images.digits(picture) reads pictures of digits,"
            " and pynn.datasets.images(directory) folders of images",
        },
    ),
}
"""For the modules of pynn the same two tables each: others' words, and what to do instead."""

COMMAND_LINE = {
    "train": "fit learn run",
    "predict": "infer classify recognize test",
    "inspect": "show summary cat open load",
    "export": "convert save",
    "data": "dataset datasets download fetch",
    "info": "version doctor env about",
    "explain": "debug trace why",
    "play": "serve web demo browser",
    "--learning-rate": "lr eta alpha",
    "--epochs": "max_iter n_epochs num_epochs",
    "--batch-size": "bs batchsize minibatch",
    "--optimizer": "optim opt solver",
    "--data": "dir dataset data_dir root folder",
    "--models": "output out o save_dir",
    "--seed": "random_state random_seed",
    "--threads": "n_jobs workers num_threads j",
    "--activation": "nonlinearity act",
    "--weight-decay": "l2 wd",
    "--hidden": "layers hidden_layer_sizes units width",
    "--schedule": "scheduler lr_scheduler",
    "--model": "checkpoint weights m",
}
"""For commands and their options what others call them."""
