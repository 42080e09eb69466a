"""Whole steps of training once more, in float64, written from the papers' formulas.

Nothing here calls the trainer's losses, norms, networks or optimizers. Each network runs once per
view: four passes a step. Views are lists of tensors, (B, …) each.
"""

import math
import re

import torch
import torch.nn.functional as F

EPS = 1e-5
_WEIGHT = re.compile(r"(conv\d|shortcut\.0|stem\.0|hidden\d*|\.out|classifier)\.weight$")


class Weights(dict):
    """Parameters by name, and what batch norm keeps of them between passes.

    Attributes:
        kept: name of a norm → (means, variances) of each view of the pass before, and averages.
        keeps: whether this pass counts.
    """

    def __init__(self, values, kept, keeps):
        super().__init__(values)
        self.kept = kept
        self.keeps = keeps


class Reference:
    """Takes the steps of a `Lab`'s trainer beside it, from the same start."""

    def __init__(self, lab):
        self.config = lab.config
        self.steps_per_epoch = lab.trainer.steps_per_epoch
        self.step_number = 0
        self.theta = _copied(lab.online)
        self.xi = _copied(lab.target) if lab.target is not None else None
        self.kept = {}
        self.kept_of_target = {}
        self.queue = lab.trainer.objective.state().get("queue", torch.zeros(0)).double()
        self.memory = {}
        self.matrix = None
        self.correlation = None

    def step(self, views, labels):
        """Take one step on views (2, B, C, H, W), and return its loss."""
        if self.config.target.moves == "before":
            self._follow()
        parts = self.config.accumulate
        gradients = {name: torch.zeros_like(value) for name, value in self.theta.items()}
        losses = []
        for part, part_labels in zip(
            views.double().chunk(parts, 1), labels.chunk(parts), strict=True
        ):
            loss, of_part = self._gradients(list(part), part_labels)
            losses.append(loss)
            for name, gradient in of_part.items():
                gradients[name] += gradient / parts
        self._update(gradients)
        if self.config.target.moves == "after":
            self._follow()
        self.step_number += 1
        self.newest_gradients = gradients
        return sum(losses) / parts

    # Forward.

    def _gradients(self, views, labels):
        with torch.no_grad():
            _, z = self._projections(Weights(self.theta, self.kept, False), views)
            target = z
            if self.xi is not None:
                xi = Weights(self.xi, self.kept_of_target, True)
                _, target = self._projections(xi, views)
            self._fit(z, target)
        if self.config.predictor.kind in ("mlp", "linear"):
            for _ in range(self.config.predictor.inner_steps):
                self._inner_step(z, target)

        theta = self._leaves(self.theta)
        features, z = self._projections(theta, views)
        targets = z if self.xi is None else target
        loss = self._objective(self._predictions(theta, z), targets)
        if self.config.loss.label_weight:
            loss = loss + self.config.loss.label_weight * _label_loss(theta, features, labels)
        loss.backward()
        self._remember([t.detach() for t in targets])
        gradients = {
            name: torch.zeros_like(value) if value.grad is None else value.grad
            for name, value in theta.items()
        }
        return loss.item(), gradients

    def _leaves(self, parameters):
        leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        return Weights(leaves, self.kept, True)

    def _projections(self, theta, views):
        config = self.config
        features = _encoder(theta, config, views)
        return features, _head(theta, "projector", config.projector, config, features)

    def _predictions(self, theta, z):
        predictor = self.config.predictor
        match predictor.kind:
            case "none":
                return z
            case "mlp":
                return _head(theta, "predictor", predictor, self.config, z)
            case "linear":
                weight = theta["predictor.out.weight"]
                if predictor.weight_standardization == "biased":
                    weight = _standardized(weight, "biased")
                if predictor.symmetric:
                    weight = (weight + weight.T) / 2
                return [x @ weight.T + theta["predictor.out.bias"] for x in z]
        return [x @ self.matrix for x in z]

    def _fit(self, z, target):
        predictor = self.config.predictor
        if predictor.kind == "directpred":
            rows = torch.cat(z)
            newest = rows.T @ rows / len(rows)
            if self.correlation is None:
                self.correlation = newest
            else:
                rho = predictor.memory
                self.correlation = rho * self.correlation + (1 - rho) * newest
        if self.step_number % predictor.fit_every:
            return
        if predictor.kind == "directpred":
            s, u = torch.linalg.eigh(self.correlation)
            p = s.clamp(min=0).sqrt() + predictor.boost * s.max()
            self.matrix = u @ torch.diag(p) @ u.T
        if predictor.kind == "optimal":
            rows = torch.cat(z)
            others = torch.cat([target[1], target[0]])
            if predictor.fit_normalized:
                rows = rows / rows.norm(dim=1, keepdim=True)
                others = others / others.norm(dim=1, keepdim=True)

            # Ridge regression is least squares with √r I appended to the rows.
            width = rows.shape[1]
            r = predictor.ridge * rows.square().sum() / width
            root = math.sqrt(r) * torch.eye(width, dtype=torch.float64)
            stacked = torch.cat([rows, root])
            goal = torch.cat([others, torch.zeros_like(root)])
            self.matrix = torch.linalg.lstsq(stacked, goal).solution

    def _inner_step(self, z, target):
        of_predictor = {n: v for n, v in self.theta.items() if n.startswith("predictor.")}
        theta = self._leaves(of_predictor)
        self._objective(self._predictions(theta, z), target).backward()
        for name, value in theta.items():
            self.theta[name] = self.theta[name] - self._rate(name) * value.grad

    # Loss.

    def _objective(self, p, t):
        loss = self.config.loss
        match self.config.method:
            case "simclr":
                value = _simclr(p, t, loss.temperature)
            case "moco":
                value = self._in_orders(lambda v, w: self._moco(p[v], t[w]))
            case "byol" if loss.beta:
                value = self._in_orders(lambda v, w: self._equation_6(p[v], t[w], t[v]))
            case "byol":
                value = self._in_orders(lambda v, w: self._distance(p[v], t[w]))
        return loss.scale * value

    def _in_orders(self, order):
        value = order(0, 1)
        return value + order(1, 0) if self.config.loss.symmetric else value

    def _distance(self, p, t):
        difference = self._normalized(p) - self._normalized(t)
        return difference.pow(2).sum(1).mean()

    def _normalized(self, x):
        match self.config.loss.normalize:
            case "l2":
                return F.normalize(x, dim=1)
            case "layer":
                return F.layer_norm(x, x.shape[1:]) / math.sqrt(x.shape[1])
            case "batch":
                return F.batch_norm(x, None, None, training=True) / math.sqrt(x.shape[1])
        return x

    def _equation_6(self, p, t, own):
        loss = self.config.loss
        across = F.normalize(p, dim=1) @ F.normalize(t, dim=1).T
        within = F.normalize(p, dim=1) @ F.normalize(own, dim=1).T
        others = 1 - torch.eye(len(p), dtype=torch.float64)
        alpha = loss.temperature
        terms = (across / alpha).exp().sum(1) + ((within / alpha).exp() * others).sum(1)
        return (2 - 2 * across.diagonal() + loss.beta * 2 * alpha * terms.log()).mean()

    def _moco(self, q, k):
        q = F.normalize(q, dim=1)
        k = F.normalize(k, dim=1)
        positive = ((q * k).sum(1) / self.config.loss.temperature).exp()
        negative = (q @ self.queue.T / self.config.loss.temperature).exp().sum(1)
        return -(positive / (positive + negative)).log().mean()

    def _remember(self, targets):
        if self.config.method != "moco":
            return
        views = targets if self.config.loss.queue_keys == "both" else targets[:1]
        keys = F.normalize(torch.cat(views), dim=1)
        self.queue = torch.cat([self.queue, keys])[-self.config.loss.queue_size :]

    # Update.

    def _update(self, gradients):
        optimizer = self.config.optimizer
        decays = {name: self._decay(name) for name in gradients}
        if optimizer.name == "adamw":
            for name, g in gradients.items():
                self._adamw(name, g, decays[name])
            return

        ratios = {name: torch.tensor(1.0, dtype=torch.float64) for name in gradients}
        if optimizer.name == "lars":
            ratios |= self._ratios(gradients, decays)
        for name, g in gradients.items():
            u = ratios[name] * (g + decays[name] * self.theta[name])
            is_blog = optimizer.name == "lars" and optimizer.lars_form == "blog"
            before = self._rate(name) if is_blog else 1.0
            m = optimizer.momentum * self.memory.get(name, 0.0) + before * u
            self.memory[name] = m
            self.theta[name] = self.theta[name] - (m if is_blog else self._rate(name) * m)

    def _ratios(self, gradients, decays):
        optimizer = self.config.optimizer
        norms = {}
        for name, g in gradients.items():
            if not self._adapts(name):
                continue
            w = self.theta[name]
            if optimizer.lars_form == "deepmind":
                norms[name] = (w.norm(), (g + decays[name] * w).norm())
            else:
                norms[name] = (w.norm(), g.norm() + decays[name] * w.norm())
        if optimizer.lars_scope == "network":
            whole = tuple(
                math.sqrt(sum(float(pair[i]) ** 2 for pair in norms.values())) for i in (0, 1)
            )
            norms = dict.fromkeys(norms, whole)
        return {
            name: torch.as_tensor(optimizer.trust_coefficient * w / u if w * u > 0 else 1.0)
            for name, (w, u) in norms.items()
        }

    def _adapts(self, name):
        optimizer = self.config.optimizer
        inside = {
            "all": True,
            "network": True,
            "encoder": name.startswith("encoder."),
            "heads": not name.startswith("encoder."),
            "early": _is_early(name),
        }
        is_rest = _WEIGHT.search(name) is None
        return inside[optimizer.lars_scope] and (optimizer.adapt_bias_and_norm or not is_rest)

    def _adamw(self, name, g, decay):
        optimizer = self.config.optimizer
        m, v, count = self.memory.get(name, (0.0, 0.0, 0))
        m = optimizer.momentum * m + (1 - optimizer.momentum) * g
        v = optimizer.beta2 * v + (1 - optimizer.beta2) * g * g
        count += 1
        self.memory[name] = (m, v, count)
        m = m / (1 - optimizer.momentum**count)
        v = v / (1 - optimizer.beta2**count)
        rate = self._rate(name)
        self.theta[name] = (1 - rate * decay) * self.theta[name] - rate * m / (v.sqrt() + 1e-8)

    def _decay(self, name):
        optimizer = self.config.optimizer
        if _WEIGHT.search(name) is None and not optimizer.decay_bias_and_norm:
            return 0.0
        factors = {
            "encoder": optimizer.decay_encoder,
            "projector": optimizer.decay_projector,
            "predictor": optimizer.decay_predictor,
            "classifier": 1.0,
        }
        return optimizer.weight_decay * factors[name.split(".")[0]]

    def _rate(self, name):
        optimizer = self.config.optimizer
        part = name.split(".")[0]
        if part == "predictor":
            if optimizer.predictor_schedule == "constant":
                return optimizer.lambda_predictor * optimizer.lr
            return optimizer.lambda_predictor * self._scheduled_rate()
        if part == "projector":
            return optimizer.mu_projector * self._scheduled_rate()
        return (optimizer.early_factor if _is_early(name) else 1.0) * self._scheduled_rate()

    def _scheduled_rate(self):
        optimizer = self.config.optimizer
        warmup = optimizer.warmup_epochs * self.steps_per_epoch
        if self.step_number < warmup:
            return optimizer.lr * self.step_number / warmup
        if optimizer.schedule == "constant":
            return optimizer.lr
        share = (self.step_number - warmup) / (self._total_steps() - warmup)
        return optimizer.lr * (1 + math.cos(math.pi * share)) / 2

    def _follow(self):
        if self.xi is None:
            return
        target = self.config.target
        tau = target.tau_base
        if target.schedule == "cosine":
            wave = math.cos(math.pi * self.step_number / self._total_steps()) + 1
            tau = 1 - (1 - tau) * wave / 2
        for name, value in self.xi.items():
            self.xi[name] = tau * value + (1 - tau) * self.theta[name]

    def _total_steps(self):
        return (self.config.schedule_epochs or self.config.epochs) * self.steps_per_epoch


# Networks.


def _encoder(theta, config, views):
    settings = config.encoder

    def conv(x, name, stride, padding):
        weight = _standardized(theta[f"{name}.weight"], settings.weight_standardization)
        bias = theta.get(f"{name}.bias")
        return [F.conv2d(view, weight, bias, stride, padding) for view in x]

    def norm(x, name):
        return _norm(theta, name, settings, config.batch_norm, x)

    def block(x, name, stride):
        y = conv(x, f"{name}.conv1", stride, 1)
        y = _relu(norm(y, f"{name}.norm1"))
        y = norm(conv(y, f"{name}.conv2", 1, 1), f"{name}.norm2")
        if f"{name}.shortcut.0.weight" in theta:
            x = norm(conv(x, f"{name}.shortcut.0", stride, 0), f"{name}.shortcut.1")
        return _relu([a + b for a, b in zip(x, y, strict=True)])

    x = _relu(norm(conv(views, "encoder.stem.0", 2, 1), "encoder.stem.1"))
    for number, stride in enumerate((1, 2, 2)):
        x = block(x, f"encoder.blocks.{number}", stride)
    return [view.mean((2, 3)) for view in x]


def _head(theta, part, settings, config, x):
    form = settings.weight_standardization
    for number in range(1, settings.depth):
        suffix = "" if number == 1 else str(number)
        weight = _standardized(theta[f"{part}.hidden{suffix}.weight"], form)
        x = [view @ weight.T + theta[f"{part}.hidden{suffix}.bias"] for view in x]
        x = _relu(_norm(theta, f"{part}.norm{suffix}", settings, config.batch_norm, x))

    weight = theta[f"{part}.out.weight"]
    if form == "biased":
        weight = _standardized(weight, form)
    x = [view @ weight.T for view in x]
    if settings.out_bias:
        x = [view + theta[f"{part}.out.bias"] for view in x]
    if settings.out_norm:
        x = _norm(theta, f"{part}.out_norm", settings, config.batch_norm, x)
    return x


def _norm(theta, name, settings, batch_norm, views):
    kind = settings.norm
    groups = {"ln": 1, "gn": settings.gn_groups, "in": views[0].shape[1]}
    if kind == "bn":
        views = _batch_norm(theta, name, batch_norm, views)
    elif kind in groups:
        views = [_group_norm(view, groups[kind]) for view in views]
    if f"{name}.weight" not in theta:
        return views
    shape = (1, -1) + (1,) * (views[0].ndim - 2)
    gamma = theta[f"{name}.weight"].reshape(shape)
    beta = theta[f"{name}.bias"].reshape(shape)
    return [gamma * view + beta for view in views]


def _batch_norm(theta, name, settings, views):
    if settings.source != "batch":
        return _by_earlier_statistics(theta, name, settings, views)
    if settings.views == "joint":
        both = torch.cat(views)
        return list(_whitened(both, _statistics(both), settings).chunk(2))
    size = settings.group or len(views[0])
    sets = [view.split(size) for view in views]
    return [
        torch.cat([_whitened(x, _statistics(x), settings) for x in of_view]) for of_view in sets
    ]


def _by_earlier_statistics(theta, name, settings, views):
    """Normalize each view by that of the batch before, or by averages; the first by itself."""
    own = [_statistics(view.detach()) for view in views]
    kept = theta.kept.get(name)
    if settings.source == "other_batch":
        now = kept or own
        later = own
    else:
        # Averages begin at the first batch's, and move by each view, whose variance is over n − 1.
        count = views[0].numel() / views[0].shape[1]
        unbiased = [(mean, variance * count / (count - 1)) for mean, variance in own]
        later = kept or [sum(pair) / 2 for pair in zip(*unbiased, strict=True)]
        now = [kept, kept] if kept else own
        for statistics in unbiased:
            later = [
                (1 - settings.momentum) * old + settings.momentum * new
                for old, new in zip(later, statistics, strict=True)
            ]
    if theta.keeps:
        theta.kept[name] = later
    return [_whitened(view, pair, settings) for view, pair in zip(views, now, strict=True)]


def _statistics(images):
    """Return the mean and biased variance of each channel over images and pixels."""
    axes = [axis for axis in range(images.ndim) if axis != 1]
    mean = images.mean(axes, keepdim=True)
    return mean, (images - mean).pow(2).mean(axes, keepdim=True)


def _whitened(x, statistics, settings):
    mean, variance = statistics
    if not settings.gradient:
        mean = mean.detach()
        variance = variance.detach()
    if settings.parts != "scale":
        x = x - mean
    if settings.parts != "centre":
        x = x / (variance + EPS).sqrt()
    return x


def _group_norm(x, groups):
    rows = x.reshape(len(x), groups, -1)
    mean = rows.mean(2, keepdim=True)
    variance = (rows - mean).pow(2).mean(2, keepdim=True)
    return ((rows - mean) / (variance + EPS).sqrt()).reshape(x.shape)


def _standardized(weight, form):
    if form == "none":
        return weight
    rows = weight.reshape(len(weight), -1)
    centred = rows - rows.mean(1, keepdim=True)
    if form == "biased":
        deviation = (centred.pow(2).mean(1, keepdim=True) + EPS).sqrt()
    else:
        squares = centred.pow(2).sum(1, keepdim=True)
        deviation = (squares / (rows.shape[1] - 1)).sqrt() + EPS
    return (centred / deviation).reshape(weight.shape)


def _simclr(p, t, temperature):
    """Return NT-Xent: row i of 2B picks row i ± B among all but itself."""
    b = len(p[0])
    cosines = F.normalize(torch.cat(p), dim=1) @ F.normalize(torch.cat(t), dim=1).T
    exponentials = (cosines / temperature).exp() * (1 - torch.eye(2 * b, dtype=torch.float64))
    rows = torch.arange(2 * b)
    positive = exponentials[rows, (rows + b) % (2 * b)]
    return -(positive / exponentials.sum(1)).log().mean()


def _label_loss(theta, features, labels):
    labelled = labels >= 0
    logits = torch.cat(
        [y[labelled] @ theta["classifier.weight"].T + theta["classifier.bias"] for y in features]
    )
    shares = logits.softmax(1)
    classes = labels[labelled].repeat(len(features))
    return -shares[torch.arange(len(classes)), classes].log().mean()


def _relu(views):
    return [view.clamp(min=0) for view in views]


def _is_early(name):
    return name.startswith(("encoder.stem.", "encoder.blocks.0.", "encoder.blocks.1."))


def _copied(network):
    return {name: value.detach().double().clone() for name, value in network.named_parameters()}


def all_pairs(axes):
    """Return few combinations in which every pair of values of two axes occurs.

    Args:
        axes: name → its values.
    """
    names = list(axes)
    missing = {
        (a, x, b, y)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        for x in axes[a]
        for y in axes[b]
    }
    rows = []
    while missing:
        a, x, b, y = min(missing)
        row = {a: x, b: y}
        for name in names:
            if name not in row:
                row[name] = max(axes[name], key=lambda v: _gain(row, name, v, names, missing))
        missing -= set(_pairs_of(row, names))
        rows.append({name: row[name] for name in names})
    return rows


def _gain(row, name, value, names, missing):
    """Count the missing pairs that a value adds to a row."""
    return len(set(_pairs_of({**row, name: value}, names)) & missing)


def _pairs_of(row, names):
    present = [name for name in names if name in row]
    for i, a in enumerate(present):
        for b in present[i + 1 :]:
            yield a, row[a], b, row[b]


def with_news(rows):
    """Yield each row, and whether it has a value that no row before it has."""
    seen = set()
    for row in rows:
        values = set(row.items())
        yield row, not values <= seen
        seen |= values
