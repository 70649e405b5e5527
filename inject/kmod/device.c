// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load and unload, the device that is the dead man's handle, and the figures. See
 * rqspinlock_fault.h for what is written and read.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include <asm/rqspinlock.h>

#include "rqf.h"

#define TEXT_MAX 1024

static const char *const error_words[RQF_ERROR_NR] = { "timedout", "deadlk" };
static const char *const kind_words[RQF_KIND_NR] = { "organic", "contended", "forced" };

static struct dentry *debugfs_dir;
static unsigned long is_open;

/* Every counter is a u64: added up as an array. */
static void sum_counters(struct rqf_counters *ret)
{
	u64 *sum = (u64 *)ret;
	int cpu;

	memset(ret, 0, sizeof(*ret));
	for_each_possible_cpu(cpu)
	{
		const u64 *one = (const u64 *)per_cpu_ptr(&rqf_counters, cpu);

		for (size_t i = 0; i < sizeof(*ret) / sizeof(u64); i++)
			sum[i] += READ_ONCE(one[i]);
	}
}

static void show_site(struct seq_file *m, const struct rqf_counters *c, unsigned int site)
{
	const char *name = rqf_site_names[site];

	seq_printf(m, "calls_%s %llu\n", name, c->calls[site]);
	seq_printf(m, "passed_%s %llu\n", name, c->passed[site]);
	for (unsigned int kind = 0; kind < RQF_KIND_NR; kind++)
		for (unsigned int error = 0; error < RQF_ERROR_NR; error++)
			seq_printf(m, "%s_%s_%s %llu\n", kind_words[kind], error_words[error], name,
				   c->errors[site][kind][error]);
}

static void show_held(struct seq_file *m)
{
	int cpu;

	seq_puts(m, "held");
	for_each_possible_cpu(cpu)
		seq_printf(m, " %d", READ_ONCE(per_cpu(rqspinlock_held_locks, cpu).cnt));
	seq_putc(m, '\n');
}

static int counters_show(struct seq_file *m, void *unused)
{
	struct rqf_counters c;

	sum_counters(&c);
	seq_printf(m, "abi %d\n", RQF_ABI);
	seq_printf(m, "open %d\n", test_bit(0, &is_open));
	mutex_lock(&rqf_mutex);
	rqf_knobs_show(m);
	mutex_unlock(&rqf_mutex);
	rqf_probes_show(m);
	rqf_appointments_show(m);
	for (unsigned int site = 0; site < RQF_SITE_NR; site++)
		show_site(m, &c, site);
	seq_printf(m, "missed %llu\n", rqf_probes_missed() + rqf_detour_missed());
	seq_printf(m, "untouched %llu\n", c.untouched);
	seq_printf(m, "hidden %llu\n", c.hidden);
	seq_printf(m, "crowded %llu\n", c.crowded);
	seq_printf(m, "evicted %llu\n", c.evicted);
	seq_printf(m, "refused %llu\n", c.refused);
	seq_printf(m, "strange %llu\n", c.strange);
	show_held(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

/* Where BPF programs find the frames: for the opener alone. */
static int device_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "frames %llu\n", (u64)(unsigned long)rqf_frames());
	return counters_show(m, unused);
}

static void disarm(void)
{
	mutex_lock(&rqf_mutex);
	rqf_disarm();
	mutex_unlock(&rqf_mutex);
}

static int device_open(struct inode *inode, struct file *file)
{
	int r;

	if (test_and_set_bit(0, &is_open))
		return -EBUSY;
	/* misc_open() left the device there, and seq_file wants it for itself. */
	file->private_data = NULL;
	r = single_open(file, device_show, NULL);
	if (r)
		clear_bit(0, &is_open);
	return r;
}

/* Whoever had it open is gone, or done: nothing is injected any more when this returns. */
static int device_release(struct inode *inode, struct file *file)
{
	disarm();
	clear_bit(0, &is_open);
	return single_release(inode, file);
}

/*
 * A process that dies calls this as it comes to each descriptor, and release() only after that of
 * all files opened later.
 */
static int device_flush(struct file *file, fl_owner_t owner)
{
	if (file_count(file) > 1)
		return 0;
	disarm();
	return 0;
}

static ssize_t device_write(struct file *file, const char __user *buffer, size_t count,
			    loff_t *position)
{
	char *text;
	int r;

	if (count > TEXT_MAX) {
		pr_warn("a configuration of %zu bytes is too long\n", count);
		return -EINVAL;
	}
	text = memdup_user_nul(buffer, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&rqf_mutex);
	r = rqf_configure(text);
	mutex_unlock(&rqf_mutex);
	kfree(text);
	return r ?: count;
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = seq_read,
	.llseek = seq_lseek,
	.write = device_write,
	.flush = device_flush,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = RQF_MODULE,
	.mode = 0600,
	.fops = &device_operations,
};

static int __init rqf_init(void)
{
	int r;

	r = rqf_detour_init();
	if (r)
		return r;
	r = rqf_probes_init();
	if (r)
		goto no_probes;
	r = misc_register(&device);
	if (r)
		goto no_device;
	/* Without debugfs there are still the figures of the device. */
	debugfs_dir = debugfs_create_dir(RQF_MODULE, NULL);
	debugfs_create_file("counters", 0400, debugfs_dir, NULL, &counters_fops);
	pr_info("loaded: locks of maps named bpfsoak_* may be made to fail while %s is open\n",
		RQF_DEVICE);
	return 0;

no_device:
	rqf_probes_exit();
no_probes:
	rqf_detour_exit();
	return r;
}

/* An open device pins the module, so everything is disarmed by now. */
static void __exit rqf_exit(void)
{
	debugfs_remove(debugfs_dir);
	misc_deregister(&device);
	rqf_probes_exit();
	rqf_detour_exit();
}

module_init(rqf_init);
module_exit(rqf_exit);

MODULE_DESCRIPTION("Makes rqspinlock acquisitions of BPF local storage fail, for bpfsoakd");
MODULE_LICENSE("GPL");
