# %% [markdown]
# # plan_a_chip

# %%
print(1)
